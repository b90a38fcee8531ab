import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildHostTree } from '../../../lab/host-trees/host-trees.ts';
import { check } from '../../../lab/machine/program.ts';
import { linux61, writeTree } from '../../support/recorded-sysfs.ts';
import { buildProduct, place } from '../../support/folder-host.ts';

/**
 * The units on a real systemd, which is process 1 of a container: the product is enabled, a package update replaces a
 * stock file, the machine is shut down, another update comes while it is off, and it boots again. Each program of the
 * story says in one log that it was its turn.
 */
const UNITS = '/etc/systemd/system';
const ENTRY = '/opt/xensource/sm/LVMoISCSISR';
const LAUNCHER = '/opt/rbdsr/launcher.sh';
const UPDATE = `ln -sfn LVMoISCSISR.py ${ENTRY}`;
/** The host as the release unit sees it: a folder with a recorded sysfs. */
const MAPPED = '/srv/mapped';

const oneshot = (name: string, more: string): string => `[Unit]
${more}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo "${name}: up, iSCSI driver entry $(readlink ${ENTRY})" >>/var/log/turns'
ExecStop=/bin/sh -c 'echo "${name}: down" >>/var/log/turns'
`;

const FILES: Readonly<Record<string, string>> = {
  [`${UNITS}/xcp-networkd.service`]: oneshot('network', 'Before=network.target\nWants=network.target'),
  [`${UNITS}/xapi.service`]: oneshot('xapi', 'After=network.target xcp-networkd.service'),
  // What the kernel does: an image that is unmapped is not listed any more.
  [`${UNITS}/krbd.service`]: `[Unit]
DefaultDependencies=no
IgnoreOnIsolate=yes
[Service]
ExecStart=/bin/sh -c 'while sleep 0.1; do n=$$(cat ${MAPPED}/sys/bus/rbd/remove_single_major); [ -z "$$n" ] || rm -rf ${MAPPED}/sys/bus/rbd/devices/$$n; done'
`,
  [`${UNITS}/rbdsr-release.service.d/seen.conf`]: `[Service]
Environment=RBDSR_ROOT=${MAPPED}
StandardOutput=append:/var/log/turns
`,
  [`${UNITS}/story.service`]: `[Unit]
After=xapi.service
[Service]
Type=oneshot
ExecStart=/bin/sh /story
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=append:/var/log/turns
StandardError=append:/var/log/turns
`,
  '/first': `
${LAUNCHER} enable </dev/null >/dev/null
until systemctl is-active rbdsr-release.service rbdsr-repair.path >/dev/null; do sleep 0.2; done
echo "enabled: $(systemctl is-enabled rbdsr-repair.service rbdsr-repair.path rbdsr-release.service | sort | uniq -c | xargs)"
until systemctl show -p ActiveState rbdsr-repair.service | grep -q inactive; do sleep 0.2; done
${UPDATE}
n=0; until [ "$(readlink ${ENTRY})" = rbdsr-divert.py ] || [ $n = 150 ]; do sleep 0.2; n=$((n+1)); done
echo "after a package update: $(readlink ${ENTRY})"
systemctl restart rbdsr-release.service
${LAUNCHER} check >/tmp/check 2>&1 || cat /tmp/check
`,
  '/second': `${LAUNCHER} check >/tmp/check 2>&1 && echo "check: well" || cat /tmp/check`,
};

/**
 * In a mount namespace: this machine's files below, the container's above, in memory. systemd-nspawn leaves its two
 * cgroups behind.
 */
const RUN = `
mkdir $1/memory $1/root
mount -t tmpfs tmpfs $1/memory
mkdir $1/memory/upper $1/memory/work
root=$1/root
mount -t overlay overlay -o lowerdir=/,upperdir=$1/memory/upper,workdir=$1/memory/work $root
rm -rf $root${UNITS} $root/opt/xensource $root/opt/rbdsr $root/etc/machine-id
cp -a $1/stage/. $root/
boot() { timeout -k 5 150 systemd-nspawn -q -D $root --boot --private-network --register=no --keep-unit --console=pipe </dev/null >>$1/console 2>&1; }
echo '== boot' >$root/var/log/turns
boot $1
ln -sfn LVMoISCSISR.py $root${ENTRY}
cp $root/second $root/story
echo '== boot' >>$root/var/log/turns
boot $1
for group in $(find /sys/fs/cgroup -maxdepth 2 -name payload -o -maxdepth 2 -name supervisor); do
  find $group -depth -type d -exec rmdir {} + || true
done
cat $root/var/log/turns
`;

let folder: string;
/** The log's lines of each boot. */
let boots: string[][];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-systemd-'));
  const stage = join(folder, 'stage');
  buildHostTree('8.3b', stage);
  buildHostTree('8.3b', stage + MAPPED);
  // The tree's interpreters lead to this machine's, which is below it: that one would lead to itself.
  rmSync(join(stage, 'usr/bin/python3'));
  // Links to /run here.
  for (const name of ['lock', 'run']) rmSync(join(stage, 'var', name), { recursive: true, force: true });
  buildProduct(join(stage, 'opt/rbdsr'));
  for (const [path, text] of Object.entries(FILES)) place(stage + path, (at) => writeFileSync(at, text));
  copyFileSync(`${stage}/first`, `${stage}/story`);
  for (const unit of ['xcp-networkd', 'xapi', 'krbd', 'story']) {
    place(`${stage}${UNITS}/multi-user.target.wants/${unit}.service`, (at) =>
      symlinkSync(`${UNITS}/${unit}.service`, at),
    );
  }
  symlinkSync('/lib/systemd/system/multi-user.target', `${stage}${UNITS}/default.target`);
  writeTree({ sysRoot: `${stage}${MAPPED}/sys` }, linux61(0, { pool: 'xen', name: 'mapped', major: '250' }));
  for (const name of ['add_single_major', 'remove_single_major']) {
    writeFileSync(`${stage}${MAPPED}/sys/bus/rbd/${name}`, '');
  }
  place(`${stage}${MAPPED}/usr/bin/systemctl`, (at) => symlinkSync('/usr/bin/systemctl', at));
  const argv = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', RUN, 'sh', folder];
  const log = await check(argv, { timeoutMs: 320_000 });
  boots = log
    .split('== boot\n')
    .slice(1)
    .map((lines) => lines.trim().split('\n'));
}, 400_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('enable starts the units, and they come up at every boot', () => {
  expect(boots[0]).toContain('enabled: 3 enabled');
});

test('a package update that replaces the entry is noticed and mended', () => {
  expect(boots[0]).toContain('after a package update: rbdsr-divert.py');
});

test('what was replaced while the host was off is mended before xapi starts', () => {
  expect(boots[1]?.slice(0, 3)).toEqual([
    'network: up, iSCSI driver entry LVMoISCSISR.py',
    'xapi: up, iSCSI driver entry rbdsr-divert.py',
    'check: well',
  ]);
});

test('the release unit unmaps at shutdown only, after xapi and before the network', () => {
  const [first = [], second = []] = boots;
  expect(first.slice(-4)).toEqual([
    expect.stringContaining('not shutting down: nothing was unmapped'),
    'xapi: down',
    expect.stringMatching(/rbd0 \(xen\/mapped\): unmapped$/),
    'network: down',
  ]);
  expect(second.slice(-2)).toEqual(['xapi: down', 'network: down']);
});
