import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHANGES } from '../../../src/installer/change-list.ts';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { HOST_VERSIONS } from '../../../lab/host-trees/host-versions.ts';
import { isState, useHosts } from './host-fixture.ts';

const hosts = useHosts();
const CASES = HOST_VERSIONS.flatMap((version) => [
  { version, separateEntry: false },
  { version, separateEntry: true },
]);

test.each(CASES)(
  '$version, separate entry: $separateEntry: enable, check, disable',
  async ({ version, separateEntry }) => {
    const host = hosts.make(version, { separateEntry, iscsiDriver: undefined });
    const before = host.snapshot();
    const entry = host.at('/opt/xensource/sm/LVMoISCSISR');
    const original = separateEntry ? readFileSync(entry, 'utf8') : realpathSync(entry);
    const mtime = Math.floor(statSync(entry).mtimeMs);
    expect((await checkHost(host.open())).some(isWell)).toBe(true);
    expect(host.snapshot()).toEqual(before);

    const done = await enable(host.open());
    expect(done).toMatchObject({ problems: [], attention: [], replaced: [], resumed: false });
    expect(done.restart).not.toEqual([]);
    expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toEqual([]);

    expect(readlinkSync(entry)).toBe('rbdsr-divert.py');
    const stock = host.at('/opt/xensource/sm/rbdsr-stock/LVMoISCSISR');
    expect(separateEntry ? readFileSync(stock, 'utf8') : realpathSync(stock)).toBe(original);

    const enabled = host.snapshot();
    expect(await enable(host.open())).toMatchObject({ written: [], restart: [], replaced: [] });
    expect(host.snapshot()).toEqual(enabled);

    expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: true, left: [], problems: [] });
    expect(host.snapshot()).toEqual(before);
    expect(Math.floor(statSync(entry).mtimeMs)).toBe(mtime);
    expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: false });
  },
);

test.each(HOST_VERSIONS)('%s: what is there after enable', async (version) => {
  const host = hosts.make(version);
  const before = host.snapshot();
  await enable(host.open());
  const after = host.snapshot();
  const changed = [...after].filter(([path, state]) => before.get(path) !== state && !isState(path));
  expect(changed.map(([path, state]) => `${path} ${state.replace(/^(file \S+)[^]*/, '$1')}`)).toMatchSnapshot();
  expect([...before.keys()].filter((path) => !after.has(path))).toEqual([]);
});

test('the package claims what enable puts on a host, but what iSCSI needs without it', async () => {
  const put = new Set<string>();
  for (const version of HOST_VERSIONS) {
    const host = hosts.make(version);
    host.write('/etc/multipath/conf.d/custom.conf', '# Of this host.\n');
    const before = host.snapshot();
    await enable(host.open());
    for (const [path, state] of host.snapshot()) if (!before.has(path) && !isState(path)) put.add(`${path} ${state}`);
  }
  const files = [...put].filter((line) => !/ folder [0-7]+$/.test(line)).map((line) => line.split(' ')[0] ?? '');
  const iscsi = /^\/opt\/xensource\/sm\/(rbdsr-divert\.py|rbdsr-stock\/.*)$/;
  // Where a file of others has marked lines, it is theirs.
  const claimed = readFileSync(join(import.meta.dirname, '../../../packaging/enabled-paths.txt'), 'utf8')
    .trim()
    .split('\n');
  expect(new Set(claimed)).toEqual(new Set(files.filter((path) => !iscsi.test(path) && path !== '/etc/rc.modules')));
});

test('the changes have names of their own', () => {
  expect(new Set(CHANGES.map(({ name }) => name)).size).toBe(CHANGES.length);
});
