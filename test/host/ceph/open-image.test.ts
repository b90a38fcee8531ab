import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import type { Mapping } from '../../../src/ceph/krbd/mapping.ts';
import { refuseIfOpen } from '../../../src/ceph/krbd/unmap-image.ts';
import { openersOf } from '../../../src/system/openers.ts';
import { loopDevice, type LoopDevice } from '../../support/lvhd-loop.ts';
import { failureOf } from '../../support/expect-error.ts';

// A loop device in place of the mapped one: who has it open does not depend on what it is.

let loop: LoopDevice;
let mapping: Mapping;
beforeEach(() => {
  loop = loopDevice(1024 * 1024);
  const name = loop.device.replace('/dev/', '');
  const [major = 0, minor = 0] = readFileSync(`/sys/block/${name}/dev`, 'utf8').split(':').map(Number);
  const spec = { pool: 'rbd', image: 't1' };
  mapping = { index: 0, device: loop.device, major, minor, spec, sizeBytes: 1024 * 1024, monitors: [] };
});
afterEach(() => loop[Symbol.dispose]());

async function opener(): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', `exec 9<${loop.device}; echo open; exec sleep 1000`]);
  await once(child.stdout, 'data');
  return child;
}

test('an image that somebody has open is refused before anything is taken away, and named', async () => {
  await refuseIfOpen(mapping, [], Deadline.after(5000));
  const child = await opener();
  try {
    const error = await failureOf('device-busy', () => refuseIfOpen(mapping, [], Deadline.after(5000)));
    expect(error.message).toMatch(new RegExp(`rbd/t1, is in use.*pid ${child.pid} `));
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await refuseIfOpen(mapping, [], Deadline.after(5000));
});

test('udev comes to look after each write, and is waited for', async () => {
  const udev = spawn('bash', ['-c', `exec 9<${loop.device}; echo open; exec -a '(udev-worker)' sleep 0.5`]);
  await once(udev.stdout, 'data');
  // The same process, once it has its name.
  const named = Deadline.after(5000);
  await named.until(
    () => openersOf(mapping).processes.find(({ command }) => command === '(udev-worker)'),
    'its name',
    5,
  );
  await refuseIfOpen(mapping, [], Deadline.after(10_000));
  expect(openersOf(mapping).processes).toEqual([]);
});
