import { expect, test } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { boundedIo } from '../../../src/picture/gather/bounded-io.ts';
import { failureOf } from '../../support/expect-error.ts';

/** A device that serves its first 4 KiB, and of the rest nothing. */
const HALF_DEAD: BlockIo = {
  name: '/dev/rbd0',
  size: 8192,
  read: (offset, length) => (offset < 4096 ? Promise.resolve(Buffer.alloc(length, 7)) : new Promise(() => {})),
  write: () => Promise.reject(new Error('written to')),
  flush: () => Promise.reject(new Error('flushed')),
  close: () => Promise.resolve(),
};

test('what nobody serves is an error of that read, in its time and at the deadline, and others are answered', async () => {
  const io = boundedIo(HALF_DEAD, Deadline.after(60_000), 50);
  const late = await failureOf('io', () => io.read(4096, 512));
  expect(late.message).toContain('/dev/rbd0 has not answered a read of 512 bytes at byte 4096');
  expect(await io.read(0, 2)).toEqual(Buffer.from([7, 7]));
  await failureOf('io', () => boundedIo(HALF_DEAD, Deadline.after(0), 60_000).read(4096, 512));
});

test('it is for looking only', async () => {
  const io = boundedIo(HALF_DEAD, Deadline.after(60_000), 50);
  await failureOf('internal', () => io.write(0, Buffer.alloc(512)));
  await failureOf('internal', () => io.flush());
});
