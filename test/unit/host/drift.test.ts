import { readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { repairUntilQuiet } from '../../../src/installer/repair-until-quiet.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import type { Host } from '../../../src/installer/host.ts';
import { HOST_VERSIONS } from '../../../lab/host-trees/host-versions.ts';
import { answeringDriver, type HostFixture, useHosts } from './host-fixture.ts';

const hosts = useHosts();
const HEAD = { format: 1, product: '1.0.0', profile: '8.3b' };

async function wrongPaths(host: HostFixture): Promise<readonly (string | undefined)[]> {
  return (await checkHost(host.open())).filter((finding) => !isWell(finding)).map(({ path }) => path);
}

function ownPaths(host: Host): readonly string[] {
  return host.journal.entries.filter(({ wrote }) => !wrote.includes('folder')).map(({ path }) => path);
}

/** A host that has no multipath.conf at all needs no lines in it: there it is our lines that go. */
function takeAway(host: HostFixture, path: string): void {
  if (path.endsWith('/multipath.conf')) host.write(path, host.read(path).replace(/^.*rbdsr[^]*?<<< rbdsr\n/m, ''));
  else host.remove(path);
}

describe.each(HOST_VERSIONS)('%s', (version) => {
  test('each part that is taken away is named, and repaired', async () => {
    const host = hosts.make(version);
    await enable(host.open());
    const enabled = host.snapshot();
    for (const path of ownPaths(host.open())) {
      takeAway(host, path);
      expect(await wrongPaths(host)).toContain(path);
      expect(await repair(host.open())).toMatchObject({ written: [path], failed: [] });
      expect(host.snapshot().get(path)).toBe(enabled.get(path));
    }
    expect(await wrongPaths(host)).toEqual([]);
  });

  test('each part that is changed is named, and left alone by disable', async () => {
    const host = hosts.make(version);
    await enable(host.open());
    const paths = ownPaths(host.open());
    for (const path of paths) {
      host.remove(path);
      host.write(path, 'someone else\n');
      expect(await wrongPaths(host)).toContain(path);
    }
    const { left } = await disable(host.open(), false);
    expect(left.map(({ path }) => path)).toEqual(expect.arrayContaining([...paths]));
    for (const path of paths) expect(host.read(path)).toBe('someone else\n');
  });

  test('a host update brings a new driver entry: repaired at boot and by enable, and disable puts the new one back', async () => {
    for (const mend of [repair, enable]) {
      const host = hosts.make(version);
      await enable(host.open());
      const entry = host.at('/opt/xensource/sm/LVMoISCSISR');
      unlinkSync(entry);
      host.write('/opt/xensource/sm/NewSR.py', answeringDriver('new'), 0o755);
      symlinkSync('NewSR.py', entry);
      expect(await wrongPaths(host)).toEqual(expect.arrayContaining(['/opt/xensource/sm/LVMoISCSISR']));
      await mend(host.open());
      expect(readlinkSync(entry)).toBe('rbdsr-divert.py');
      expect(readlinkSync(host.at('/opt/xensource/sm/rbdsr-stock/LVMoISCSISR'))).toBe('../NewSR.py');
      expect(await wrongPaths(host)).toEqual([]);
      expect(await disable(host.open(), false)).toMatchObject({ left: [] });
      expect(readlinkSync(entry)).toBe('NewSR.py');
    }
  });
});

test('a link is replaced by a program, and the program by another', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  for (const text of [answeringDriver('one'), answeringDriver('two')]) {
    host.remove('/opt/xensource/sm/LVMoISCSISR');
    host.write('/opt/xensource/sm/LVMoISCSISR', text, 0o755);
    expect(await repair(host.open())).toMatchObject({ failed: [] });
    expect(host.read('/opt/xensource/sm/rbdsr-stock/LVMoISCSISR')).toBe(text);
    expect(await wrongPaths(host)).toEqual([]);
  }
  await disable(host.open(), false);
  expect(host.snapshot().get('/opt/xensource/sm/LVMoISCSISR')).toBe(`file 755 ${answeringDriver('two')}`);
});

test('the update puts the stock entry back, and RBDSR is disabled before it was noticed', async () => {
  const host = hosts.make('8.2');
  const before = host.snapshot();
  await enable(host.open());
  host.remove('/opt/xensource/sm/LVMoISCSISR');
  symlinkSync('LVHDoISCSISR.py', host.at('/opt/xensource/sm/LVMoISCSISR'));
  expect(await disable(host.open(), false)).toMatchObject({ left: [] });
  expect(host.snapshot()).toEqual(before);
});

test("others' lines in a file that has ours survive disable", async () => {
  const host = hosts.make('6.5');
  host.write('/etc/rc.modules', '#!/bin/sh\nmodprobe own', 0o644);
  await enable(host.open());
  expect(host.snapshot().get('/etc/rc.modules')).toMatch(
    /^file 744 #!\/bin\/sh\nmodprobe own\n# >>> rbdsr.*\nmodprobe rbd\n# <<< rbdsr\n$/,
  );
  host.write('/etc/rc.modules', `${host.read('/etc/rc.modules')}modprobe later\n`, 0o744);
  expect(await wrongPaths(host)).toEqual([]);
  expect(await enable(host.open())).toMatchObject({ written: [] });
  const { left } = await disable(host.open(), false);
  expect(left).toMatchObject([{ path: '/etc/rc.modules', why: expect.stringContaining('what others have changed') }]);
  expect(host.read('/etc/rc.modules')).toBe('#!/bin/sh\nmodprobe own\nmodprobe later\n');
});

test('a file of ours that somebody has changed: enable replaces it and says so; a copy is kept', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  await enable(host.open());
  host.write('/etc/modules-load.d/rbdsr.conf', 'rbd\nother\n');
  const done = await enable(host.open());
  expect(done.replaced).toMatchObject([{ path: '/etc/modules-load.d/rbdsr.conf', state: 'changed' }]);
  expect(done.restart).toEqual([]);
  expect([...host.snapshot().values()]).toContain('file 600 rbd\nother\n');
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('a newer RBDSR: check says so, enable writes what it writes otherwise, disable knows both', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  await enable(host.open('1.0.0'));
  expect(await checkHost(host.open('2.0.0'))).toContainEqual(
    expect.objectContaining({ part: 'state', state: 'changed', what: 'was enabled by version 1.0.0, this is 2.0.0' }),
  );
  await repair(host.open('2.0.0'));
  expect((await checkHost(host.open('2.0.0'))).filter((finding) => !isWell(finding))).toEqual([]);
  await disable(host.open('3.0.0'), false);
  expect(host.snapshot()).toEqual(before);
});

test('what changes while the host is repaired is repaired, too: nothing tells of it afterwards', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  const entry = '/opt/xensource/sm/LVMoISCSISR';
  const updates = [
    () => host.remove('/etc/xapi.d/plugins/rbdsr'),
    // After the last look at it: a package update replaces files by moving new ones over them.
    () => {
      host.remove(entry);
      host.write(entry, answeringDriver('of the update'), 0o755);
    },
  ];
  const done = await repairUntilQuiet(
    () => host.open(),
    async (open) => {
      const found = await repair(open);
      updates.pop()?.();
      return found;
    },
  );
  expect(done).toMatchObject({ written: expect.arrayContaining([entry]), failed: [], problems: [] });
  expect(await wrongPaths(host)).toEqual([]);
});

test('repair does nothing where RBDSR is not enabled, or was half enabled', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  expect(await repair(host.open())).toMatchObject({ written: [] });
  expect(host.snapshot()).toEqual(before);
  host.write('/var/lib/rbdsr/changes.json', JSON.stringify({ ...HEAD, state: 'enabling', entries: [] }));
  expect(await repair(host.open(HEAD.product))).toMatchObject({ written: [] });
  host.remove('/var/lib/rbdsr');
  expect(host.snapshot()).toEqual(before);
});

/** As if a newer version had been killed at once. */
async function enabledThenCutShort(): Promise<{ host: HostFixture; before: ReadonlyMap<string, string> }> {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  await enable(host.open());
  const { entries } = host.open().journal;
  const cutShort = { ...HEAD, product: '2.0.0', state: 'enabling', wasEnabled: true, entries };
  host.write('/var/lib/rbdsr/changes.json', JSON.stringify(cutShort));
  return { host, before };
}

test('an enable of an enabled host that was cut short: named, and repair finishes it', async () => {
  const { host, before } = await enabledThenCutShort();
  host.remove('/usr/bin/rbdsr');
  expect(await checkHost(host.open('2.0.0'))).toContainEqual(
    expect.objectContaining({ part: 'state', state: 'changed', what: 'rbdsr enable was cut short' }),
  );
  const { written, restart, failed } = await repair(host.open('2.0.0'));
  expect({ written, failed }).toEqual({ written: ['/usr/bin/rbdsr'], failed: [] });
  expect(restart).not.toEqual([]);
  expect((await checkHost(host.open('2.0.0'))).filter((finding) => !isWell(finding))).toEqual([]);
  await disable(host.open('2.0.0'), false);
  expect(host.snapshot()).toEqual(before);
});

test('an enable that fails after that takes back its own steps, not the whole installation', async () => {
  const { host, before } = await enabledThenCutShort();
  for (const path of ['/etc/modules-load.d/rbdsr.conf', '/usr/bin/rbdsr']) host.remove(path);
  host.write('/usr/bin/rbdsr/in-the-way', '');
  const drifted = host.snapshot();
  const { content } = host.open().journal;
  await expect(enable(host.open('3.0.0'))).rejects.toThrow(/"command" failed/);
  expect(host.open().journal.content).toEqual(content);
  const others = ([path]: readonly [string, string]): boolean => path !== '/var/lib/rbdsr/changes.json';
  expect([...host.snapshot()].filter(others)).toEqual([...drifted].filter(others));
  host.remove('/usr/bin/rbdsr');
  expect(await enable(host.open('2.0.0'))).toMatchObject({ resumed: true });
  expect((await checkHost(host.open('2.0.0'))).filter((finding) => !isWell(finding))).toEqual([]);
  await disable(host.open('2.0.0'), false);
  expect(host.snapshot()).toEqual(before);
});

test('a failing enable of a newer version leaves the older one in the journal', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open('1.0.0'));
  host.remove('/usr/bin/rbdsr');
  host.write('/usr/bin/rbdsr/in-the-way', '');
  await expect(enable(host.open('2.0.0'))).rejects.toThrow(/"command" failed/);
  expect(host.open().journal.content).toMatchObject({ product: '1.0.0', state: 'enabled' });
});

test('one part that cannot be made takes all others back', async () => {
  const host = hosts.make('8.3b');
  host.write('/usr/bin/rbdsr/in-the-way', '');
  const before = host.snapshot();
  await expect(enable(host.open())).rejects.toThrow(
    /"command" failed, and everything done before it was put back; found \/usr\/bin\/rbdsr is in the way/,
  );
  expect(host.snapshot()).toEqual(before);
});

test('a part that fails later leaves an enabled host as enabled as it was', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  await enable(host.open());
  host.remove('/etc/modules-load.d/rbdsr.conf');
  host.remove('/usr/bin/rbdsr');
  host.write('/usr/bin/rbdsr/in-the-way', '');
  const drifted = host.snapshot();
  await expect(enable(host.open())).rejects.toThrow(/"command" failed/);
  expect(host.snapshot()).toEqual(drifted);
  // The boot unit does what it can.
  const { written, failed } = await repair(host.open());
  expect({ written, failed }).toEqual({
    written: ['/etc/modules-load.d/rbdsr.conf'],
    failed: [expect.stringContaining('/usr/bin/rbdsr is in the way')],
  });
  host.remove('/usr/bin/rbdsr');
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('half of the product is missing: nothing is changed', async () => {
  const host = hosts.make('8.3b');
  host.remove('/opt/rbdsr/divert.py');
  const before = host.snapshot();
  await expect(enable(host.open())).rejects.toThrow(/divert\.py is missing, so RBDSR is not completely installed/);
  expect(host.snapshot()).toEqual(before);
});
