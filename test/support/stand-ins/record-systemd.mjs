// Records what this machine's systemctl and udevadm answer to each of our calls, in each state of a system that a call
// may meet: a container boots and goes down for it, with units that have our units' names and do nothing. Prints the
// transcript. Needs root and systemd-container. argv inside: `ask STATE`, which adds rows, or `story`.
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [, program, role, state] = process.argv;
const ROWS = '/var/log/rows';
const SYSTEM = ['is-system-running', 'list-jobs --no-legend --full'];
const UNITS = 'rbdsr-release.service rbdsr-repair.path';
const IS_ACTIVE = 'is-active rbdsr-repair.path';

const BOOT = `
mkdir $1/memory $1/root
mount -t tmpfs tmpfs $1/memory
mkdir $1/memory/upper $1/memory/work
mount -t overlay overlay -o lowerdir=/,upperdir=$1/memory/upper,workdir=$1/memory/work $1/root
rm -rf $1/root/etc/systemd/system
cp -a $1/stage/. $1/root/
timeout -k 5 150 systemd-nspawn -q -D $1/root --boot --private-network --register=no --keep-unit --console=pipe </dev/null >$1/console 2>&1 || true
for group in $(find /sys/fs/cgroup -maxdepth 2 -name payload -o -maxdepth 2 -name supervisor); do
  find $group -depth -type d -exec rmdir {} + || true
done
cat $1/root/var/log/rows
`;

if (role === 'ask') ask(state);
else if (role === 'story') story();
else outside();

function ask(of, calls = SYSTEM) {
  for (const argv of calls) {
    const { status, stdout, stderr } = spawnSync('systemctl', argv.split(' '), { encoding: 'utf8' });
    appendFileSync(ROWS, `${JSON.stringify({ state: of, argv: `systemctl ${argv}`, exit: status, stdout, stderr })}\n`);
  }
}

/** After the boot, until the system goes down. */
function story() {
  until(() => word('is-system-running') !== 'starting');
  const tell = ['daemon-reload', `start --no-block ${UNITS}`];
  ask('running', [...SYSTEM, ...tell]);
  until(() => word(IS_ACTIVE) === 'active');
  ask('running', [IS_ACTIVE, 'stop --no-block rbdsr-repair.path rbdsr-release.service']);
  until(() => word(IS_ACTIVE) === 'inactive');
  ask('watch ended', [IS_ACTIVE]);
  ask('no such unit', ['start fairlock@devicemapper.service', 'is-active rbdsr-none.path']);
  // A service that ends at once, and is wanted at once again, too often.
  writeFileSync('/wanted', '');
  spawnSync('systemctl', ['start', 'rbdsr-repair.path']);
  until(() => word(IS_ACTIVE) === 'failed');
  ask('watch failed', [...SYSTEM, IS_ACTIVE]);
  spawnSync('systemctl', ['--no-block', 'poweroff']);
}

function word(argv) {
  return spawnSync('systemctl', argv.split(' '), { encoding: 'utf8' }).stdout.trim();
}

function until(holds) {
  for (let turn = 0; !holds(); turn += 1) {
    if (turn === 300) throw new Error(`not so after a minute: ${holds}`);
    spawnSync('sleep', ['0.2']);
  }
}

function outside() {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-systemd-'));
  const stage = join(folder, 'stage');
  const run = (of, more) => `ExecStart=${process.execPath} /record.mjs ${of}\n${more}`;
  const files = {
    'record.mjs': readFileSync(program),
    'etc/fstab': '',
    // A first boot would enable every unit of this machine's packages.
    'etc/machine-id': '0123456789abcdef0123456789abcdef\n',
    'etc/systemd/system/early.service': `[Unit]\nBefore=multi-user.target\n[Service]\nType=oneshot\n${run('ask starting', '')}`,
    'etc/systemd/system/story.service': `[Service]\n${run('story', `RemainAfterExit=yes\nExecStop=${process.execPath} /record.mjs ask stopping\n`)}`,
    'etc/systemd/system/rbdsr-release.service': '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n',
    'etc/systemd/system/rbdsr-repair.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n',
    'etc/systemd/system/rbdsr-repair.path': '[Path]\nPathExists=/wanted\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(stage, path, '..'), { recursive: true });
    writeFileSync(join(stage, path), text);
  }
  const wants = join(stage, 'etc/systemd/system/multi-user.target.wants');
  mkdirSync(wants);
  for (const unit of ['early.service', 'story.service']) symlinkSync(`../${unit}`, join(wants, unit));
  symlinkSync('/lib/systemd/system/multi-user.target', join(stage, 'etc/systemd/system/default.target'));
  const rows = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', BOOT, 'sh', folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  rmSync(folder, { recursive: true });
  const [, version] = /^systemd ([0-9]+)/.exec(execFileSync('systemctl', ['--version'], { encoding: 'utf8' }));
  const how = 'in a container that boots and goes down, by record-systemd.mjs';
  const lines = [...rows.trim().split('\n'), ...unbooted()].map((row) => `    ${row}`);
  process.stdout.write(
    `{\n  "version": "${version}",\n  "how": "${how}",\n  "calls": [\n${lines.join(',\n')}\n  ]\n}\n`,
  );
}

/** Without systemd, and with and without a udevd of its own, which hears nothing of this machine's devices. */
function unbooted() {
  const udevd = '/lib/systemd/systemd-udevd >/dev/null 2>&1 & udevd=$!; sleep 2';
  return [
    alone('no systemd', 'systemctl is-system-running', ':'),
    alone('no udevd', 'udevadm control --reload', ':'),
    alone('udevd', 'udevadm control --reload', udevd),
    alone('udevd was killed', 'udevadm control --reload', `${udevd}; kill -KILL $udevd; sleep 0.3`),
  ];
}

function alone(of, argv, before) {
  const script = `mount -t tmpfs own /run; mkdir /run/udev; udevd=; ${before}; ${argv}; code=$?; kill $udevd 2>/dev/null; exit $code`;
  const { status, stdout, stderr } = spawnSync('unshare', ['-mn', 'sh', '-c', script], { encoding: 'utf8' });
  return JSON.stringify({ state: of, argv, exit: status, stdout, stderr });
}
