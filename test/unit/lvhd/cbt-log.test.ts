import { expect, test } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { addChanges, readCbtLog, writeChild, writeParent } from '../../../src/lvhd/cbt-log.ts';
import { type MemoryIo, memoryIo } from '../../support/lvhd-memory-io.ts';

const [ONE, TWO] = [vdiUuid('00112233-4455-6677-8899-aabbccddeeff'), vdiUuid('f0e0d0c0-b0a0-9080-7060-504030201000')];

/** As blktap's cbt_log_metadata lies on the disk of an x86-64 host, with these bytes of bitmap behind it. */
function logOf(sizeBytes: number, consistent: 0 | 1, ...bitmap: readonly number[]): MemoryIo {
  const io = memoryIo(4 * MiB);
  io.bytes.write('00112233445566778899aabbccddeefff0e0d0c0b0a090807060504030201000', 0, 'hex');
  io.bytes.writeInt32LE(consistent, 32);
  io.bytes.writeBigUInt64LE(BigInt(sizeBytes), 40);
  io.bytes.set(bitmap, 48);
  return io;
}

test('every field is where cbt-util has it', async () => {
  expect(await readCbtLog(logOf(10 * MiB, 1))).toEqual({
    parent: ONE,
    child: TWO,
    consistent: true,
    sizeBytes: 10 * MiB,
  });
  expect(await readCbtLog(memoryIo(4 * MiB))).toEqual({
    parent: undefined,
    child: undefined,
    consistent: false,
    sizeBytes: 0,
  });
});

test('a link is changed, and nothing beside it', async () => {
  const io = logOf(10 * MiB, 1, 0xff);
  await writeParent(io, TWO);
  await writeChild(io, undefined);
  expect(await readCbtLog(io)).toEqual({ parent: TWO, child: undefined, consistent: true, sizeBytes: 10 * MiB });
  expect(io.bytes[48]).toBe(0xff);
});

test.each<[string, MemoryIo, MemoryIo, readonly number[]]>([
  ['of one size', logOf(MiB, 1, 0b0001, 0b1000), logOf(MiB, 1, 0b0100, 0b1000), [0b0101, 0b1000, 0]],
  ['of a disk that has grown', logOf(MiB, 1, 1, 0x80, 0xee), logOf(2 * MiB, 1, 0, 0, 0, 2), [1, 0x80, 0, 2, 0]],
  ['that cannot be trusted', logOf(MiB, 0), logOf(MiB + 1, 1), [0xff, 0xff, 0xff, 0]],
])('what has changed by a log %s', async (_what, from, to, expected) => {
  await addChanges(from, to);
  expect([...to.bytes.subarray(48, 48 + expected.length)]).toEqual(expected);
  expect(await readCbtLog(to)).toMatchObject({ parent: ONE, child: TWO, consistent: true });
});

test('a log that is damaged, and says that it is longer than its volume, reads and writes no further', async () => {
  const from = logOf(2 ** 52, 1, 3);
  const to = logOf(2 ** 52, 1, 4);
  await addChanges(from, to);
  expect([...to.bytes.subarray(48, 51)]).toEqual([7, 0, 0]);
});
