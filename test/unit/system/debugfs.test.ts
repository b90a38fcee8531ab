import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { mountsOf } from '../../../src/system/mounts.ts';
import { mountDebugfs } from '../../../src/system/debugfs.ts';

const soon = (): Deadline => Deadline.after(30_000);

function sysfs(): { readonly root: string; readonly folder: string } {
  const root = mkdtempSync(join(tmpdir(), 'rbdsr-debugfs-'));
  const folder = join(root, 'kernel/debug');
  const mounted = (): boolean => mountsOf('self').some(({ point }) => point === folder);
  onTestFinished(() => {
    if (mounted()) execFileSync('umount', [folder]);
    rmSync(root, { recursive: true });
  });
  return { root, folder };
}

test('it is mounted where nobody has, and once', async () => {
  const { root, folder } = sysfs();
  mkdirSync(folder, { recursive: true });
  await mountDebugfs(root, soon());
  await mountDebugfs(root, soon());
  expect(mountsOf('self').filter(({ point }) => point === folder)).toMatchObject([{ type: 'debugfs' }]);
  expect(readdirSync(folder).length).toBeGreaterThan(0);
});

test('a kernel without it, and one whose own is there, stay as they are', async () => {
  const { root, folder } = sysfs();
  await mountDebugfs(root, soon());
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ceph'), '');
  await mountDebugfs(root, soon());
  expect(readdirSync(folder)).toEqual(['ceph']);
});
