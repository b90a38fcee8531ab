import { expect, test } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { PausableIo } from '../../../src/datapath/nbd/nbd-pause.ts';
import { failureOf } from '../../support/expect-error.ts';

/** Answers reads with its mark; `more` in place of what it does. */
function disk(mark: number, more: Partial<BlockIo> = {}): BlockIo {
  return {
    name: `disk ${mark}`,
    size: 4096,
    read: async (_at, length) => Buffer.alloc(length, mark),
    write: async () => undefined,
    flush: async () => undefined,
    close: async () => undefined,
    ...more,
  };
}

const flush = (io: BlockIo): Promise<void> => io.flush();

test('what is asked while it is paused waits, and is answered by the disk that comes', async () => {
  const io = new PausableIo(disk(1));
  await io.pause(flush);
  const waiting = io.read(0, 1);
  io.resume(disk(2));
  expect([await waiting, await io.read(0, 1)]).toEqual([Buffer.of(2), Buffer.of(2)]);
});

test('what is under way is waited for, and flushed, before the disk is closed', async () => {
  const done: string[] = [];
  let finish = (): void => undefined;
  const slow = new Promise<void>((resolve) => (finish = resolve));
  const note = (what: string) => async (): Promise<void> => void done.push(what);
  const io = new PausableIo(
    disk(1, { write: () => slow.then(note('written')), flush: note('flushed'), close: note('closed') }),
  );
  const writing = io.write(0, Buffer.alloc(512));
  const pausing = io.pause(flush);
  finish();
  await Promise.all([writing, pausing]);
  expect(done).toEqual(['written', 'flushed', 'closed']);
});

test('a flush that fails: it goes on as before', async () => {
  const io = new PausableIo(disk(1));
  await expect(io.pause(() => Promise.reject(new Error('EIO')))).rejects.toThrow('EIO');
  expect([io.isPaused, await io.read(0, 1)]).toEqual([false, Buffer.of(1)]);
});

test('a disk that cannot be closed, after all was flushed: it is paused, and says so', async () => {
  const io = new PausableIo(disk(1, { close: () => Promise.reject(new Error('EIO')) }));
  await expect(io.pause(flush)).rejects.toThrow('EIO');
  expect(io.isPaused).toBe(true);
  const waiting = io.read(0, 1);
  io.resume(disk(2));
  expect(await waiting).toEqual(Buffer.of(2));
});

test('a disk of another size does not come back, and those that wait go on waiting', async () => {
  const io = new PausableIo(disk(1));
  await io.pause(flush);
  await failureOf('vdi-unavailable', () => io.resume(disk(2, { size: 8192 })));
  expect(io.isPaused).toBe(true);
});

test('the end of it fails those that wait', async () => {
  const io = new PausableIo(disk(1));
  await io.pause(flush);
  const waiting = io.read(0, 1);
  await io.close();
  await failureOf('io', () => waiting);
});
