import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enable } from '../../../src/installer/enable.ts';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { FAST_FOLDER, fixture, useHosts } from './host-fixture.ts';

// Not root, a read-only root, a full disk: a sentence with exit code 1, and nothing half done. By the built command, on
// real file systems in a mount namespace of their own.

const hosts = useHosts();
const VERBS = ['enable', 'disable', 'repair', 'check', 'doctor', 'release-images'];
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(FAST_FOLDER, 'rbdsr-unwritable-'));
  placeBuiltProduct(join(folder, 'product'));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function inNamespace(script: string, ...args: readonly string[]): { code: number | null; out: string } {
  const argv = [
    '-m',
    'sh',
    '-c',
    `set -e\n${script}`,
    'sh',
    process.execPath,
    join(folder, 'product/cli.cjs'),
    ...args,
  ];
  const { status, stdout, stderr } = spawnSync('unshare', argv, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  return { code: status, out: stdout + stderr };
}

test.each(VERBS)('%s by another user than root', (verb) => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  const script =
    'chmod -R a+rX "$3" "$5"; RBDSR_ROOT=$3 exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1" "$2" "$4"';
  const end = inNamespace(script, host.root, verb, folder);
  expect(end).toEqual({
    code: 1,
    out: 'rbdsr: only root can do this; expected user 0; found user 65534. Run it as root. Nothing was changed. (io)\n',
  });
  expect(host.snapshot()).toEqual(before);
});

/** The host's root, read-only as after an error of its disk; what is in memory is not. */
const READ_ONLY = `mkdir -p "$3/var/run"
mount --bind "$3" "$3"
mount -t tmpfs tmpfs "$3/var/run"
mount -o remount,bind,ro "$3"
RBDSR_ROOT=$3 exec "$1" "$2" "$4"`;

test.each([
  ['enable', 'as it was'],
  ['disable', 'enabled'],
  ['repair', 'enabled'],
])('%s on a read-only root that is %s', async (verb, state) => {
  const host = hosts.make('8.3b');
  if (state === 'enabled') await enable(host.open());
  // Something to do.
  if (verb === 'repair') host.remove('/usr/bin/rbdsr');
  const before = host.snapshot();
  const end = inNamespace(READ_ONLY, host.root, verb);
  expect(end.out).toMatch(/read-only|EROFS/);
  expect(end.out).not.toMatch(/^ +at /m);
  expect(end.code).toBe(1);
  expect(host.snapshot()).toEqual(before);
});

test('check on a read-only root tells what there is', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  expect(inNamespace(READ_ONLY, host.root, 'check')).toMatchObject({
    code: 0,
    out: expect.stringContaining('All is well.'),
  });
});

/** On a disk with so many KiB left; what it leaves is copied out. */
const FULL = `disk=$4/disk
mkdir "$disk"
mount -t tmpfs -o size=64m,mode=755 tmpfs "$disk"
cp -a "$3" "$disk/host"
mkdir -p "$disk/host/var/run"
mount -t tmpfs tmpfs "$disk/host/var/run"
free=$(df -k --output=avail "$disk" | tail -1)
fallocate -l "$((free - $5))KiB" "$disk/full"
RBDSR_ROOT=$disk/host "$1" "$2" "$6" && code=0 || code=$?
rm "$disk/full"
umount "$disk/host/var/run"
cp -a "$disk/host" "$4/after"
exit $code`;

test.each(['enable', 'disable', 'repair'])(
  '%s on a full disk, with more and more room',
  { timeout: 300_000 },
  async (verb) => {
    const host = hosts.make('8.3b');
    const original = host.snapshot();
    if (verb !== 'enable') await enable(host.open());
    if (verb === 'repair') host.remove('/usr/bin/rbdsr');
    const before = host.snapshot();
    const codes: (number | null)[] = [];
    for (let room = 0; room <= 1024 && codes.at(-1) !== 0; room += verb === 'enable' && room < 512 ? 128 : 8) {
      const out = mkdtempSync(join(folder, 'full-'));
      const end = inNamespace(FULL, host.root, out, String(room), verb);
      codes.push(end.code);
      const after = fixture(join(out, 'after'));
      if (end.code === 1) {
        expect(end.out, `${room} KiB`).toMatch(/full file system|ENOSPC/);
        expect(end.out, `${room} KiB`).not.toMatch(/^ +at /m);
        if (verb === 'enable') expect(after.snapshot(), `${room} KiB`).toEqual(before);
      }
      // Whatever was done, it is done to its end by the next.
      if (verb === 'disable') {
        const { disable } = await import('../../../src/installer/disable.ts');
        await disable(after.open(), false);
        expect(after.snapshot(), `${room} KiB`).toEqual(original);
      }
      rmSync(out, { recursive: true });
    }
    expect(codes[0]).toBe(1);
    expect(codes.at(-1)).toBe(0);
  },
);
