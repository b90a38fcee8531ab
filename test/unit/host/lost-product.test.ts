import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { stockProblem } from '../../../src/installer/changes/stock-proof.ts';
import { HOST_VERSIONS } from '../../../lab/host-trees/host-versions.ts';
import { enableAs010 } from './enabled-by-0-1-0.ts';
import { answeringDriver, type HostFixture, isState, placeProduct, useHosts } from './host-fixture.ts';

// What becomes of iSCSI when /opt/rbdsr goes and comes back, and when a host of 0.1.0 gets this version.

const hosts = useHosts();
const SM = '/opt/xensource/sm';
const ENTRY = `${SM}/LVMoISCSISR`;
const TREES = [
  ...HOST_VERSIONS.map((version) => [version, false] as const),
  ['8.3b', true] as const,
  ['4.x', true] as const,
];

async function wrong(host: HostFixture): Promise<readonly string[]> {
  const findings = await checkHost(host.open());
  return findings.filter((finding) => !isWell(finding)).map(({ path = '', what }) => `${path} ${what}`.trim());
}

async function mustBeWell(host: HostFixture): Promise<void> {
  expect(await wrong(host)).toEqual([]);
  expect(await stockProblem(host.open())).toBeUndefined();
}

/** Everything below /opt/rbdsr with the record, and the product as its package installs it. */
function loseAndInstall(host: HostFixture): void {
  loseAll(host);
  placeProduct(host.root);
}

function loseAll(host: HostFixture): void {
  host.remove('/opt/rbdsr');
  rmSync(host.at('/var/lib/rbdsr'), { recursive: true, force: true });
}

/** Which folders RBDSR has made is forgotten with the rest. */
function withoutFolders(all: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...all].filter(([, state]) => !state.startsWith('folder')));
}

describe.each(TREES)('%s, entry a program of its own: %s', (version, separateEntry) => {
  test('enabled by 0.1.0: enable and repair bring it over, and disable puts back what was there; so does disable at once', async () => {
    for (const mend of [enable, repair, undefined]) {
      const host = hosts.make(version, { separateEntry });
      const before = host.snapshot();
      await enableAs010(host);
      if (mend !== undefined) {
        await mend(host.open());
        await mustBeWell(host);
        expect(existsSync(host.at('/opt/rbdsr/stock'))).toBe(false);
      }
      expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: true, left: [] });
      expect(host.snapshot()).toEqual(before);
    }
  });

  test('/opt/rbdsr and the record were lost, and it was installed again: enable knows its own, and disable puts back what was there; so does disable at once', async () => {
    for (const first of [true, false]) {
      const host = hosts.make(version, { separateEntry });
      const before = host.snapshot();
      await enable(host.open());
      loseAll(host);
      expect(await stockProblem(host.open())).toBeUndefined();
      placeProduct(host.root);
      expect(await wrong(host)).toContain('/var/lib/rbdsr RBDSR was enabled here, but the record of it was lost');
      if (first) {
        await enable(host.open());
        await mustBeWell(host);
      }
      expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: true, left: [] });
      expect(withoutFolders(host.snapshot())).toEqual(withoutFolders(before));
      expect(existsSync(host.at(`${SM}/rbdsr-stock`))).toBe(false);
      expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: false });
    }
  });

  test('what 0.1.0 had put there was lost, and this version installed: iSCSI comes back, or it is said that it cannot', async () => {
    const host = hosts.make(version, { separateEntry });
    const before = withoutFolders(host.snapshot());
    await enableAs010(host);
    loseAndInstall(host);
    const lost = host.snapshot();
    if (version === '4.x' && separateEntry) {
      // The program that the entry was is gone with /opt/rbdsr/stock.
      await expect(enable(host.open())).rejects.toThrow(/nowhere to be found.*Reinstall the host's package sm/);
      expect(withoutFolders(host.snapshot())).toEqual(withoutFolders(lost));
      expect(await wrong(host)).toEqual(
        expect.arrayContaining([
          expect.stringContaining("the host's own iSCSI driver that was there before is nowhere to be found"),
          `${ENTRY} does not reach the stock iSCSI driver: it leads nowhere`,
        ]),
      );
      const { left } = await disable(host.open(), false);
      expect(left).toMatchObject([{ path: 'divert', why: expect.stringContaining('nowhere to be found') }]);
      expect(host.snapshot().get(ENTRY)).toBe('link /opt/rbdsr/divert.py');
      // Its package, which puts a file of its own there.
      host.remove(ENTRY);
      host.write(ENTRY, answeringDriver('anew'), 0o755);
    }
    await enable(host.open());
    await mustBeWell(host);
    expect(await disable(host.open(), false)).toMatchObject({ left: [] });
    const after = withoutFolders(host.snapshot());
    if (separateEntry) expect(await stockProblem(host.open())).toBeUndefined();
    else expect(after.get(ENTRY)?.split('/').at(-1)).toBe(before.get(ENTRY)?.split('/').at(-1));
    for (const path of [ENTRY, `${SM}/rbdsr-stock-program`]) [before, after].forEach((map) => map.delete(path));
    expect(after).toEqual(before);
  });

  test('the folder of the stock entry is lost: iSCSI goes on where package sm has it, repair makes it anew, and disable puts back what was there', async () => {
    const host = hosts.make(version, { separateEntry });
    const before = host.snapshot();
    await enable(host.open());
    rmSync(host.at(`${SM}/rbdsr-stock`), { recursive: true });
    if (version !== '4.x' || !separateEntry) expect(await stockProblem(host.open())).toBeUndefined();
    expect(await wrong(host)).toContain(`${SM}/rbdsr-stock/LVMoISCSISR is not there`);
    await repair(host.open());
    await mustBeWell(host);
    expect(await disable(host.open(), false)).toMatchObject({ left: [] });
    expect(host.snapshot()).toEqual(before);
  });
});

test.each(['our link', 'a copy of our dispatcher', 'a link to a link of ours'])(
  '%s at the entry is never taken for what the host had',
  async (what) => {
    const host = hosts.make('8.3b');
    await enable(host.open());
    host.remove(ENTRY);
    if (what === 'our link') symlinkSync('/opt/rbdsr/divert.py', host.at(ENTRY));
    else if (what === 'a copy of our dispatcher') host.write(ENTRY, host.read('/opt/rbdsr/divert.py'), 0o755);
    else {
      symlinkSync('rbdsr-divert.py', host.at(`${SM}/other`));
      symlinkSync('other', host.at(ENTRY));
    }
    for (const record of ['kept', 'lost']) {
      if (record === 'lost') rmSync(host.at('/var/lib/rbdsr'), { recursive: true });
      await enable(host.open());
      await mustBeWell(host);
      expect(host.snapshot().get(`${SM}/rbdsr-stock/LVMoISCSISR`)).toBe('link ../LVMoISCSISR.py');
    }
    await disable(host.open(), false);
    expect(host.snapshot().get(ENTRY)).toBe('link LVMoISCSISR.py');
  },
);

test('check tells by what the entry does: everything is in its place, and the stock driver does not answer', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  host.write(`${SM}/LVMoISCSISR.py`, '#!/bin/sh\necho broken >&2\nexit 3\n', 0o755);
  expect(await wrong(host)).toEqual([
    expect.stringMatching(/LVMoISCSISR does not reach the stock iSCSI driver: .*failed with exit code 3 \(broken\)/),
  ]);
  host.write(`${SM}/LVMoISCSISR.py`, '#!/bin/sh\n', 0o755);
  expect(await wrong(host)).toEqual([expect.stringContaining('its answer cannot be read')]);
});

test('a divert that does not reach a stock driver which answered before is taken back, with all the rest', async () => {
  const host = hosts.make('8.3b');
  host.write(
    '/opt/rbdsr/divert.py',
    host.read('/opt/rbdsr/divert.py').replace('if rbdsr_find_stock', 'if false'),
    0o755,
  );
  const before = host.snapshot();
  await expect(enable(host.open())).rejects.toThrow(
    /"divert" failed, and everything done before it was put back; found .* does not reach the stock iSCSI driver: The storage backend failed/,
  );
  expect(host.snapshot()).toEqual(before);
});

test('the same when a host of 0.1.0 was to be brought over: it is as 0.1.0 left it', async () => {
  const host = hosts.make('8.3b', { separateEntry: true });
  await enableAs010(host);
  // An update of package sm, which was not noticed yet.
  host.remove(ENTRY);
  host.write(ENTRY, answeringDriver('new'), 0o755);
  host.write(
    '/opt/rbdsr/divert.py',
    host.read('/opt/rbdsr/divert.py').replace('if rbdsr_find_stock', 'if false'),
    0o755,
  );
  const inJournal = (): unknown =>
    host.open().journal.content?.entries.toSorted((a, b) => (a.path + a.change < b.path + b.change ? -1 : 1));
  const [before, entries] = [host.snapshot(), inJournal()];
  await expect(enable(host.open())).rejects.toThrow(/does not reach the stock iSCSI driver/);
  const changed = [...host.snapshot()].filter(([path, state]) => before.get(path) !== state && !isState(path));
  expect(changed).toEqual([]);
  expect(inJournal()).toEqual(entries);
});

test('a host whose stock driver does not answer before either is enabled, and that is said', async () => {
  const host = hosts.make('8.3b');
  host.write(`${SM}/LVMoISCSISR.py`, '#!/bin/sh\nexit 3\n', 0o755);
  const { problems } = await enable(host.open());
  expect(problems).toEqual([expect.stringContaining('does not reach the stock iSCSI driver')]);
});

test('what Python has compiled of the dispatcher goes with it', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  await enable(host.open());
  host.write(`${SM}/__pycache__/rbdsr-divert.cpython-36.pyc`, 'x');
  host.write(`${SM}/rbdsr-divert.pyc`, 'x');
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('lines of ours in a file of others, without a record, are not taken for theirs', async () => {
  const host = hosts.make('6.5');
  host.write('/etc/rc.modules', '#!/bin/sh\nmodprobe own\n', 0o744);
  const before = withoutFolders(host.snapshot());
  await enable(host.open());
  loseAndInstall(host);
  await enable(host.open());
  await mustBeWell(host);
  await disable(host.open(), false);
  expect(withoutFolders(host.snapshot())).toEqual(before);
});

test('0.1.0, enabled again after the loss, had taken its own links for those of others: disable takes them away', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  await enable(host.open());
  const { content } = host.open().journal;
  const itself = ['/usr/bin/rbdsr', `${SM}/RBDSR`];
  const entries = content?.entries.map((entry) =>
    itself.includes(entry.path) ? { ...entry, found: { kind: 'link', target: '/opt/rbdsr/launcher.sh' } } : entry,
  );
  host.write('/var/lib/rbdsr/changes.json', JSON.stringify({ ...content, entries }));
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});
