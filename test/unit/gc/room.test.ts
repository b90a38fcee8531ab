import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { mergeRoom, type ParentSizes } from '../../../src/gc/room.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import { setBits } from '../../../src/vhd/format/bits.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from '../vhd/recorded-io.ts';

/** A base of so many blocks from block 0 on, without lost places, in a volume of so many MiB. */
function base(blocks: number, lvMiB: number, lostBytes = 0): ParentSizes {
  const bits = Buffer.alloc(64);
  setBits(bits, 0, blocks);
  const dataEnd = blocks === 0 ? 4_327_424 : 4_328_960 + 2 * MiB + 512 + (blocks - 1) * (2 * MiB + 4096);
  const physicalSizeBytes = dataEnd + lostBytes + 512;
  return { kind: 'vhd', lvSizeBytes: lvMiB * MiB, blocks: bits, physicalSizeBytes };
}

function blocks(from: number, count: number): Buffer {
  const bits = Buffer.alloc(64);
  setBits(bits, from, count);
  return bits;
}

describe('the room of a merge', () => {
  it.each([
    ['nothing new', base(4, 16), blocks(0, 4), 0, 4],
    ['nothing at all', base(0, 8), blocks(0, 0), 0, 4],
    ['one block, for which the volume has room', base(0, 8), blocks(0, 1), 0, 4],
    ['two blocks, for which it has not', base(0, 8), blocks(7, 2), 4, 12],
    ['blocks of which the parent has half', base(4, 16), blocks(2, 4), 4, 12],
    ['a parent that is as large as it can be', base(4, 1032), blocks(2, 400), 0, 4],
    ['a hundred blocks', base(4, 16), blocks(4, 100), 200, 208],
    ['a raw parent', { kind: 'aio', lvSizeBytes: 64 * MiB } as const, blocks(0, 32), 0, 4],
    ['a parent with 8 MiB of lost places', base(4, 24, 8 * MiB), blocks(4, 2), 4, 12],
    ['the same, where nothing is new', base(4, 24, 8 * MiB), blocks(0, 4), 0, 4],
  ])('%s', (_what, parent, childBlocks, growsMiB, neededMiB) => {
    const room = mergeRoom({ childBlocks, parent });
    expect([room.growsByBytes / MiB, room.neededBytes / MiB]).toEqual([growsMiB, neededMiB]);
    expect(room.parentLvSizeBytes).toBe(parent.lvSizeBytes + room.growsByBytes);
  });

  it('is never more than by the formula of stock, where no place is lost, and always enough for the copy', async () => {
    const sets = fc.tuple(fc.uniqueArray(fc.nat(15)), fc.uniqueArray(fc.nat(15)), fc.boolean());
    await fc.assert(
      fc.asyncProperty(sets, async ([ofParent, ofChild, hasParent]) => {
        const io = new RecordedIo(48 * MiB);
        const made = { virtualSizeBytes: 32 * MiB, maxVirtualSizeBytes: 2048 * 1024 * MiB, uuid: UUID, timestamp: 0 };
        await (hasParent ? createChild(io, made, { name: 'p', modified: 0 }) : createVhd(io, made));
        const image = await VhdImage.open(io, 'write');
        const fill = async (all: readonly number[]): Promise<void> => {
          for (const block of all) await image.write(block * 2 * MiB, Buffer.alloc(512, 1));
        };
        await fill(ofParent);
        const childBlocks = Buffer.alloc(2);
        for (const block of ofChild) setBits(childBlocks, block, 1);
        const parent = {
          kind: 'vhd',
          lvSizeBytes: 8 * MiB,
          blocks: image.allocationBitmap(),
          physicalSizeBytes: image.physicalSizeBytes,
        } as const;
        const { parentLvSizeBytes } = mergeRoom({ childBlocks, parent });
        await fill(ofChild);
        const all = new Set([...ofParent, ...ofChild]).size;
        expect(parentLvSizeBytes).toBe(Math.max(8 * MiB, fullVhdLvSize(all * 2 * MiB)));
        expect(image.physicalSizeBytes).toBeLessThanOrEqual(parentLvSizeBytes);
      }),
      { numRuns: 30 },
    );
  });
});

const UUID = '22222222-2222-2222-2222-222222222222';
