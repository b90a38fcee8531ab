import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { planParentChange, writePieces } from '../../../src/vhd/image/change-parent.ts';
import { createChild, type NewParent } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';

const OLD: NewParent = { name: 'VG--x-VHD--old', uuid: '11111111-1111-1111-1111-111111111111', modified: 0 };
const made = { virtualSizeBytes: 4 * MiB, uuid: '22222222-2222-2222-2222-222222222222', timestamp: 0 };

async function childOf(parent: NewParent): Promise<RecordedIo> {
  const io = new RecordedIo(2 * MiB);
  await createChild(io, made, parent);
  io.log.length = 0;
  return io;
}

describe('a child that gets another parent', () => {
  it.each<NewParent>([
    { name: 'VG--x-VHD--another', uuid: '33333333-3333-3333-3333-333333333333', modified: 7 },
    { name: 'VG--x-VHD--n', uuid: '33333333-3333-3333-3333-333333333333', modified: 0 },
    { name: 'VG--x-LV--raw', modified: 0 },
  ])('is as one that was made with it: $name', async (parent) => {
    const io = await childOf(OLD);
    const change = planParentChange(await VhdImage.open(io, 'read'), parent);
    await writePieces(io, change.locators);
    await writePieces(io, [change.header]);
    expect(io.bytes.equals((await childOf(parent)).bytes)).toBe(true);
    expect(io.log.map((entry) => (entry === 'flush' ? entry : entry.data.length))).toEqual([
      512,
      512,
      512,
      'flush',
      1024,
      'flush',
    ]);
  });

  it('a name that does not fit its locators is refused, and so is an image without a parent', async () => {
    const image = await VhdImage.open(await childOf(OLD), 'read');
    expect(() => planParentChange(image, { ...OLD, name: 'n'.repeat(260) })).toThrow('does not fit a locator');
    const base = new RecordedIo(2 * MiB);
    await createVhd(base, made);
    const alone = await VhdImage.open(base, 'read');
    expect(() => planParentChange(alone, OLD)).toThrow('names no parent');
  });
});
