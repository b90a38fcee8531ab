import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { planParentChange, writePieces } from '../../../src/vhd/image/change-parent.ts';
import { createChild, type NewParent } from '../../../src/vhd/image/create-child.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { readParentNames } from '../../../src/vhd/format/parent-names.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';

const OLD: NewParent = { name: 'VG--x-VHD--old', uuid: '11111111-1111-1111-1111-111111111111', modified: 0 };
const made = { virtualSizeBytes: 4 * MiB, uuid: '22222222-2222-2222-2222-222222222222', timestamp: 0 };

async function childOf(parent: NewParent): Promise<RecordedIo> {
  const io = new RecordedIo(4 * MiB);
  await createChild(io, made, parent);
  io.log.length = 0;
  return io;
}

const NEW: readonly NewParent[] = [
  { name: 'VG--x-VHD--another', uuid: '33333333-3333-3333-3333-333333333333', modified: 7 },
  { name: 'VG--x-VHD--n', uuid: '33333333-3333-3333-3333-333333333333', modified: 0 },
  { name: 'VG--x-LV--raw', modified: 0 },
];

/** Applies the writes one by one; what the child says of its parent after each. */
async function saidAtEveryCut(io: RecordedIo, parent: NewParent): Promise<string[]> {
  const { narrowed, texts, header } = planParentChange(await VhdImage.open(io, 'read'), parent);
  const said = [await whoseChild(io)];
  for (const piece of [...(narrowed === undefined ? [] : [narrowed]), ...texts, header]) {
    await writePieces(io, [piece]);
    said.push(await whoseChild(io));
  }
  return said;
}

/** Of one parent alone, by the header and by every locator that it lists; nothing is wrong with the image. */
async function whoseChild(io: RecordedIo): Promise<string> {
  expect(await checkVhd(io)).toEqual([]);
  const { header } = await VhdImage.open(io, 'read');
  const names = await readParentNames(io, header);
  const paths = new Set(names.locators.map(({ path }) => path));
  expect([...paths]).toEqual([`./${names.name}`]);
  return `${names.name} ${header.parentUuid} by ${names.locators.length}`;
}

const said = ({ name, uuid = '00000000-0000-0000-0000-000000000000' }: NewParent, by: number): string =>
  `${name} ${uuid} by ${by}`;

describe('a child that gets another parent', () => {
  it.each(NEW)('hangs on the one or on the other at every cut, by all of its names: $name', async (parent) => {
    const io = await childOf(OLD);
    const before = said(OLD, 3);
    expect(await saidAtEveryCut(io, parent)).toEqual([before, before, before, before, said(parent, 3)]);
    expect(io.log.map((entry) => (entry === 'flush' ? entry : entry.data.length))).toEqual(
      [512, 512, 512, 1024].flatMap((length) => [length, 'flush']),
    );
  });

  it('and again and again, in the same places, and no block comes to lie elsewhere', async () => {
    const io = await childOf(OLD);
    const first = await VhdImage.open(io, 'write');
    await first.write(0, Buffer.alloc(512, 1));
    await first.flush();
    const { blockEntries } = first;
    const places: number[][] = [];
    for (const parent of [...NEW, OLD, ...NEW]) {
      expect((await saidAtEveryCut(io, parent)).at(-1)).toBe(said(parent, 3));
      const image = await VhdImage.open(io, 'read');
      expect(image.blockEntries).toEqual(blockEntries);
      expect(await image.read(0, 512)).toEqual(Buffer.alloc(512, 1));
      places.push(image.header.locators.map(({ offset }) => offset));
    }
    expect(new Set(places.map((one) => one.join())).size).toBe(2);
  });

  it('where there is no room beside its names, all but one of them go first', async () => {
    const io = await childOf(OLD);
    const image = await VhdImage.open(io, 'read');
    // The first block right behind the last name.
    const end = Math.max(...image.header.locators.map(({ offset }) => offset)) + 512;
    const entry = Buffer.alloc(512, 0xff);
    entry.writeUInt32BE(end / 512);
    await io.write(image.header.tableOffset, entry);
    const [first, ...others] = NEW;
    if (first === undefined) throw new Error('no parent');
    expect(await saidAtEveryCut(io, first)).toEqual([
      said(OLD, 3),
      said(OLD, 1),
      said(OLD, 1),
      said(OLD, 1),
      said(first, 2),
    ]);
    for (const parent of others) expect((await saidAtEveryCut(io, parent)).at(-1)).toBe(said(parent, 2));
  });

  it('a name that has no place is refused, and so is an image without a parent', async () => {
    const image = await VhdImage.open(await childOf(OLD), 'read');
    expect(() => planParentChange(image, { ...OLD, name: 'n'.repeat(260) })).toThrow('too long for a VHD');
    const base = new RecordedIo(4 * MiB);
    await createVhd(base, made);
    const alone = await VhdImage.open(base, 'read');
    expect(() => planParentChange(alone, OLD)).toThrow('names no parent');
  });
});
