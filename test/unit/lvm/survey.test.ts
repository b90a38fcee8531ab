import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { blankEnds, surveyDevice } from '../../../src/lvm/pv-label.ts';
import { SIGNATURES } from '../../../src/lvm/signatures.ts';
import { memoryIo } from '../../support/lvhd-memory-io.ts';

describe('surveyDevice', () => {
  it('zeroes are blank, and bytes between the ends do not count', async () => {
    const io = memoryIo(40 * MiB);
    io.bytes[20 * MiB] = 1;
    expect(await surveyDevice(io)).toEqual({ kind: 'blank' });
  });

  it.each([0, 16 * MiB - 1, 24 * MiB, 40 * MiB - 1])('one byte at %i is data of an unknown kind', async (offset) => {
    const io = memoryIo(40 * MiB);
    io.bytes[offset] = 1;
    expect(await surveyDevice(io)).toEqual({ kind: 'foreign', what: 'data of an unknown kind', offset });
  });

  it('small devices are read whole', async () => {
    expect(await surveyDevice(memoryIo(MiB + 512))).toEqual({ kind: 'blank' });
    const io = memoryIo(3 * MiB);
    io.bytes[3 * MiB - 1] = 9;
    expect(await surveyDevice(io)).toMatchObject({ kind: 'foreign', offset: 3 * MiB - 1 });
  });

  it.each([...new Map(SIGNATURES.map((row) => [`${row.what} (${row.source})`, row])).entries()])(
    'recognises %s',
    async (_name, row) => {
      const io = memoryIo(33 * MiB + 512);
      const place = row.offset < 0 ? io.size + row.offset : row.offset;
      row.magic.copy(io.bytes, place);
      expect(await surveyDevice(io)).toEqual({ kind: 'foreign', what: row.what, offset: place });
    },
  );

  it('a backup GPT is enough', async () => {
    const io = memoryIo(40 * MiB);
    io.bytes.write('EFI PART', io.size - 512);
    expect(await surveyDevice(io)).toEqual({ kind: 'foreign', what: 'a GPT partition table', offset: io.size - 512 });
  });

  it('an LVM label with damaged innards is still somebody’s', async () => {
    const io = memoryIo(40 * MiB);
    io.bytes.write('LABELONE', 512);
    io.bytes.write('LVM2 001', 536);
    io.bytes.writeUInt32LE(4_000_000_000, 532);
    expect(await surveyDevice(io)).toMatchObject({ kind: 'foreign', offset: 512 });
  });
});

describe('blankEnds', () => {
  it.each([3 * MiB + 512, 40 * MiB])(
    'leaves a device of %i bytes blank and touches nothing between the ends',
    async (size) => {
      const io = memoryIo(size);
      io.bytes.fill(7);
      await blankEnds(io);
      expect(await surveyDevice(io)).toEqual({ kind: 'blank' });
      const between = io.bytes.subarray(16 * MiB, Math.max(16 * MiB, size - 16 * MiB));
      expect(between.every((byte) => byte === 7)).toBe(true);
    },
  );
});
