import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { listMappings } from '../../../src/ceph/krbd/krbd-sysfs.ts';
import { unmapImage } from '../../../src/ceph/krbd/unmap-image.ts';
import { failureOf } from '../../support/expect-error.ts';
import { linux310, recorded } from '../../support/recorded-sysfs.ts';

/** An image that is mapped on such a kernel, and lets go when it is told to. */
function mapped(release: string) {
  const tree = recorded({ 'bus/rbd/add': '', 'bus/rbd/remove': '' }, linux310(0));
  onTestFinished(() => tree.remove());
  const { sysRoot } = tree;
  const host = {
    roots: { sysRoot, devRoot: sysRoot },
    lockDir: join(sysRoot, 'locks'),
    kernelLog: '/dev/null',
    kernel: kernelTraits(release),
  };
  const told = (): string => readFileSync(join(sysRoot, 'bus/rbd/remove'), 'utf8').trim();
  const watching = setInterval(() => {
    if (told() !== '') rmSync(join(sysRoot, 'bus/rbd/devices/0'), { recursive: true, force: true });
  }, 20);
  onTestFinished(() => clearInterval(watching));
  const unmap = async (ms: number): Promise<void> => {
    const [mapping] = listMappings(host.roots);
    if (mapping !== undefined) await unmapImage(host, mapping, {}, Deadline.after(ms));
  };
  return { unmap, told, device: join(sysRoot, 'rbd0') };
}

/** Whoever opens it waits, as for an OSD that does not answer. */
function silent(device: string): void {
  execFileSync('mkfifo', [device]);
  // Lets the thread go that waits for it.
  onTestFinished(() => closeSync(openSync(device, 'r+')));
}

test('on Linux 3.10 an image whose OSDs do not answer stays mapped: it would stop those of all other clusters', async () => {
  const { unmap, told, device } = mapped('3.10.0');
  silent(device);
  await failureOf('osd-unresponsive', () => unmap(1500));
  expect(told()).toBe('');
});

test.each(['3.10.0', '4.4.0'])('on Linux %s one that answers is unmapped', async (release) => {
  const { unmap, told, device } = mapped(release);
  writeFileSync(device, Buffer.alloc(4096));
  await unmap(10_000);
  expect(told()).toBe('0');
});

test('on a kernel that opens devices beside a removal nobody is asked first', async () => {
  const { unmap, told, device } = mapped('4.4.0');
  silent(device);
  await unmap(10_000);
  expect(told()).toBe('0');
});
