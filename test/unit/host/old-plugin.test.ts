import { copyFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { type Finding, isWell } from '../../../src/installer/changing/finding.ts';
import type { HostVersion } from '../../../lab/host-trees/host-versions.ts';
import { type HostFixture, useHosts } from './host-fixture.ts';

const hosts = useHosts();
/** The plug-in patches the stock driver's Python. */
const PATCHED = { iscsiDriver: undefined };
const SM = '/opt/xensource/sm';
const DRIVER = `${SM}/LVHDoISCSISR.py`;

/** What the older plug-in's installer leaves (mstarikov/rbdsr and its forks): in words of our own, with its marks. */
const PATCHES: Readonly<Record<string, (text: string) => string>> = {
  [DRIVER]: (text) => text.replace('import SR\n', "import SR\nimport RBDSR\nPORT = '6789'\n"),
  [`${SM}/SR.py`]: (text) => `${text}\n# uses path_nomp where the port is 6789\n`,
  [`${SM}/mpath_dmp.py`]: (text) => `${text}\ndef path_nomp(x):\n    return x\n`,
};

function install(host: HostFixture, version: HostVersion, suffix = '-orig'): void {
  for (const [path, patch] of Object.entries(PATCHES)) patchFile(host, path, patch, suffix);
  const python = `/usr/lib/python${version === '6.5' ? '2.4' : '2.7'}/site-packages/pxssh.py`;
  host.write(python, '# pxssh\n');
  patchFile(host, python, (text) => `${text}# quirk\n`, suffix);
  const types = (text: string): string =>
    text.replace(/ *types=.*\n|dir = .*\n/, (line) => `${line}    types = [ "rbd", 64 ]\n`);
  patchFile(host, '/etc/lvm/lvm.conf', types, suffix);
  host.write('/etc/rc.modules', '#!/bin/sh\n', 0o755);
  patchFile(host, '/etc/rc.modules', (text) => `${text}\nmodprobe rbd\n`, suffix);
  host.write(`${SM}/RBDSR.py`, '#!/usr/bin/python\nimport pxssh\nclass RBDSR(ISCSISR):\n    pass\n', 0o755);
  host.write(`${SM}/RBDSR.pyc`, 'compiled');
}

function patchFile(host: HostFixture, path: string, patch: (text: string) => string, suffix: string): void {
  copyFileSync(host.at(path), host.at(path + suffix));
  const text = host.read(path);
  expect(patch(text)).not.toBe(text);
  host.write(path, patch(text), Number.parseInt(host.snapshot().get(path)?.split(' ')[1] ?? '644', 8));
}

async function wrong(host: HostFixture): Promise<readonly Finding[]> {
  return (await checkHost(host.open())).filter((finding) => !isWell(finding));
}

test.each([
  ['6.5', '-orig'],
  ['7.x', '-orig'],
  ['7.x', '-oring'],
] as const)('%s, copies named %s: every patch is undone, and disable brings it back', async (version, suffix) => {
  const host = hosts.make(version, PATCHED);
  const pristine = host.snapshot();
  install(host, version, suffix);
  host.write('/etc/rbd/auth', 'AQ==');
  host.write('/var/lib/rbd/pool/image', '{}');
  const before = host.snapshot();
  expect((await checkHost(host.open())).filter(({ part }) => part === 'older plug-in').map(({ path }) => path)).toEqual(
    expect.arrayContaining([DRIVER, '/etc/lvm/lvm.conf', `${SM}/RBDSR.py`, '/etc/rbd']),
  );

  const done = await enable(host.open());
  expect(done.attention.map(({ path }) => path)).toEqual(['/etc/rbd', '/var/lib/rbd']);
  const after = host.snapshot();
  for (const path of [...Object.keys(PATCHES), '/etc/lvm/lvm.conf']) expect(after.get(path)).toBe(pristine.get(path));
  expect([...after.keys()].filter((path) => path.endsWith(suffix) || path.endsWith('.pyc'))).toEqual([]);
  expect(after.get(`${SM}/RBDSR.py`)).toBe('link /opt/rbdsr/shims/RBDSR.py');

  // What is left is for a person, who need not do it now.
  expect((await wrong(host)).map(({ path }) => path)).toEqual(['/etc/rbd', '/var/lib/rbd']);
  expect(await enable(host.open())).toMatchObject({ written: [] });
  expect(host.snapshot()).toEqual(after);
  expect(await repair(host.open())).toMatchObject({ written: [], failed: [] });

  expect(await disable(host.open(), false)).toMatchObject({ left: [] });
  expect(host.snapshot()).toEqual(before);
});

test('a second run of its installer has overwritten the copy: the driver stays, and so does its RBDSR.py', async () => {
  const host = hosts.make('7.x', PATCHED);
  install(host, '7.x');
  copyFileSync(host.at(DRIVER), host.at(`${DRIVER}-orig`));
  const before = host.snapshot();
  const done = await enable(host.open());
  expect(done.attention).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ path: DRIVER, what: expect.stringContaining("imports the older plug-in's RBDSR.py") }),
      expect.objectContaining({ path: DRIVER, todo: expect.stringContaining(`rm ${DRIVER}-orig`) }),
    ]),
  );
  for (const path of [DRIVER, `${SM}/RBDSR.py`]) expect(host.snapshot().get(path)).toBe(before.get(path));
  expect(await wrong(host)).not.toEqual([]);
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('an update has replaced a patched file: it stays, and its old copy is named', async () => {
  const host = hosts.make('7.x', PATCHED);
  install(host, '7.x');
  host.write(DRIVER, '# a newer stock driver\n', 0o755);
  const done = await enable(host.open());
  expect(host.read(DRIVER)).toBe('# a newer stock driver\n');
  expect(done.attention).toMatchObject([{ path: `${DRIVER}-orig`, what: expect.stringContaining('is left over') }]);
});

test('an update that comes after enable is not undone by disable', async () => {
  const host = hosts.make('7.x', PATCHED);
  const newer = `${host.read(DRIVER)}# a newer stock driver\n`;
  install(host, '7.x');
  await enable(host.open());
  host.write(DRIVER, newer, 0o755);
  expect(await wrong(host)).toEqual([]);
  const { left } = await disable(host.open(), false);
  expect(left).toMatchObject([{ path: DRIVER }]);
  expect(host.read(DRIVER)).toBe(newer);
});

test("an administrator's own rbd in lvm.conf and rc.modules is no trace of it", async () => {
  const host = hosts.make('7.x', PATCHED);
  host.write('/etc/lvm/lvm.conf', 'devices {\n    types = [ "rbd", 1024 ]\n}\n');
  host.write('/etc/rc.modules', '#!/bin/sh\nmodprobe rbd\n', 0o755);
  const before = host.snapshot();
  expect(await enable(host.open())).toMatchObject({ attention: [] });
  expect(host.read('/etc/lvm/lvm.conf')).toBe(before.get('/etc/lvm/lvm.conf')?.replace('file 644 ', ''));
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});
