import { describe, expect, it } from 'vitest';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { decodeFooter } from '../../../src/vhd/format/footer.ts';
import { readHeaderSummary } from '../../../src/vhd/format/header-summary.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';

const UUID = '22222222-2222-2222-2222-222222222222';
const BLOCK = 2 * MiB;

async function disk(size = 8 * MiB, ioBytes = 16 * MiB): Promise<RecordedIo> {
  const io = new RecordedIo(ioBytes);
  await createVhd(io, { virtualSizeBytes: size, maxVirtualSizeBytes: 64 * MiB, uuid: UUID, timestamp: 0 });
  return io;
}

describe('an open image', () => {
  it('writes nothing when it is opened, read, and closed by its device', async () => {
    const io = await disk();
    const before = io.log.length;
    const image = await VhdImage.open(io, 'write');
    await image.read(0, MiB);
    await io.close();
    expect(io.log.length).toBe(before);
  });

  it('opened for reading refuses to write', async () => {
    const image = await VhdImage.open(await disk(), 'read');
    await expect(image.write(0, Buffer.alloc(SECTOR))).rejects.toMatchObject({ code: 'internal' });
    await expect(image.setHidden(true)).rejects.toMatchObject({ code: 'internal' });
  });

  it('takes whole sectors only', async () => {
    const image = await VhdImage.open(await disk(), 'write');
    await expect(image.write(1, Buffer.alloc(SECTOR))).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(image.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('is hidden and shown in both footers', async () => {
    const io = await disk();
    const image = await VhdImage.open(io, 'write');
    await image.setHidden(true);
    expect((await readHeaderSummary(io)).hidden).toBe(true);
    expect(decodeFooter(io.bytes.subarray(-512), 0).hidden).toBe(1);
    await image.setHidden(false);
    expect((await readHeaderSummary(io)).hidden).toBe(false);
    expect(await checkVhd(io)).toEqual([]);
  });

  it('grows in place up to what its BAT holds, keeps its content and its original size', async () => {
    const io = await disk(BLOCK, 80 * MiB);
    const image = await VhdImage.open(io, 'write');
    await image.write(0, Buffer.alloc(BLOCK, 5));
    await image.resizeFast(64 * MiB);
    await image.write(64 * MiB - SECTOR, Buffer.alloc(SECTOR, 6));
    await image.close();
    expect(await checkVhd(io)).toEqual([]);
    const again = await VhdImage.open(io, 'read');
    expect([again.virtualSizeBytes, Number(again.footer.originalSize), again.allocatedBlocks]).toEqual([
      64 * MiB,
      BLOCK,
      2,
    ]);
    expect((await again.read(0, BLOCK)).equals(Buffer.alloc(BLOCK, 5))).toBe(true);
    expect([...again.allocationBitmap()]).toEqual([0x80, 0, 0, 0x01]);
    await expect(again.resizeFast(66 * MiB)).rejects.toMatchObject({ code: 'vdi-size' });
    await expect(again.resizeFast(MiB)).rejects.toMatchObject({ code: 'vdi-size' });
  });

  it('gets a footer at another end, its copy untouched, but not inside its data', async () => {
    const io = await disk();
    const image = await VhdImage.open(io, 'write');
    await image.write(0, Buffer.alloc(SECTOR, 1));
    await image.flush();
    await image.writeFooterAt(8 * MiB);
    const shorter = new RecordedIo(Buffer.from(io.bytes.subarray(0, 8 * MiB)));
    expect(await checkVhd(shorter)).toEqual([]);
    await expect(image.writeFooterAt(image.physicalSizeBytes - SECTOR)).rejects.toMatchObject({ code: 'vdi-size' });
    await image.writeFooterAt(image.physicalSizeBytes);
  });

  it('with its end footer killed is read by the copy, and whole again once closed', async () => {
    const io = await disk();
    const image = await VhdImage.open(io, 'write');
    await image.killEndFooter();
    expect((await checkVhd(io)).map(({ code }) => code)).toEqual(['end-footer']);
    expect(await checkVhd(io, { endFooterOptional: true })).toEqual([]);
    expect((await VhdImage.open(io, 'read')).footer.uuid).toBe(UUID);
    await image.close();
    expect(await checkVhd(io)).toEqual([]);
  });

  it('found by the copy writes the end footer when it is closed', async () => {
    const io = await disk();
    io.bytes.fill(0, io.size - SECTOR);
    await (await VhdImage.open(io, 'write')).close();
    expect(await checkVhd(io)).toEqual([]);
  });

  it('believes the copy first where it is told to', async () => {
    const io = await disk();
    const image = await VhdImage.open(io, 'write');
    await image.setHidden(true);
    const hidden = Buffer.from(io.bytes.subarray(0, SECTOR));
    await image.setHidden(false);
    io.bytes.set(hidden, 0);
    expect((await VhdImage.open(io, 'read')).hidden).toBe(false);
    expect((await VhdImage.open(io, 'read', { copyFirst: true })).hidden).toBe(true);
  });

  it('reads a footer of 511 bytes at the end', async () => {
    const io = await disk();
    const old = new RecordedIo(Buffer.from(io.bytes.subarray(0, io.size - 1)));
    old.bytes.fill(0, 0, 8);
    expect((await VhdImage.open(old, 'read')).footer.uuid).toBe(UUID);
    old.bytes.set(io.bytes.subarray(0, 8), 0);
    expect((await checkVhd(old)).map(({ severity }) => severity)).toEqual(['warning']);
  });

  it('forgets all its data when it is killed', async () => {
    const io = await disk();
    const image = await VhdImage.open(io, 'write');
    await image.write(0, Buffer.alloc(2 * BLOCK, 9));
    await image.flush();
    const empty = await VhdImage.open(await disk(), 'read');
    await image.killData();
    await image.close();
    expect(await checkVhd(io)).toEqual([]);
    const again = await VhdImage.open(io, 'read');
    expect([again.allocatedBlocks, again.physicalSizeBytes]).toEqual([0, empty.physicalSizeBytes]);
    expect((await again.read(0, BLOCK)).equals(Buffer.alloc(BLOCK))).toBe(true);
  });

  it('without room for a block refuses the write and stays sound', async () => {
    const io = await disk(8 * MiB, 5 * MiB);
    const image = await VhdImage.open(io, 'write');
    await image.write(0, Buffer.alloc(2 * BLOCK, 3));
    await expect(image.write(2 * BLOCK, Buffer.alloc(SECTOR))).rejects.toMatchObject({ code: 'sr-full' });
    await image.close();
    expect(await checkVhd(io)).toEqual([]);
  });

  it('reads no bitmap of a block that its batmap calls full', async () => {
    const io = await disk();
    const writer = await VhdImage.open(io, 'write');
    await writer.write(0, Buffer.alloc(BLOCK, 1));
    await writer.close();
    const image = await VhdImage.open(io, 'write');
    io.reads.splice(0);
    await image.read(SECTOR, 4096);
    await image.write(8192, Buffer.alloc(4096));
    expect(io.reads.map(({ length }) => length)).toEqual([4096]);
  });

  it('answers many flushes with few', async () => {
    const io = await disk();
    const image = await VhdImage.open(io, 'write');
    await image.write(0, Buffer.alloc(SECTOR, 1));
    io.log.splice(0);
    io.turns = () => 2;
    await Promise.all(Array.from({ length: 50 }, () => image.flush()));
    expect(io.log.filter((entry) => entry === 'flush').length).toBeLessThanOrEqual(3);
  });

  it('does not wait for ever with its bitmaps when nobody flushes', async () => {
    const size = 2048 * MiB;
    const io = new RecordedIo(0);
    const sparse = new Map<number, Buffer>();
    // A disk too large to hold: sectors that were never written are zero.
    Object.defineProperty(io, 'size', { value: 2 * size });
    io.read = async (offset, length) =>
      Buffer.concat(
        Array.from(
          { length: length / SECTOR },
          (_unused, i) => sparse.get(offset + i * SECTOR) ?? Buffer.alloc(SECTOR),
        ),
      );
    io.write = async (offset, data) => {
      for (let at = 0; at < data.length; at += SECTOR)
        sparse.set(offset + at, Buffer.from(data.subarray(at, at + SECTOR)));
    };
    await createVhd(io, { virtualSizeBytes: size, uuid: UUID, timestamp: 0 });
    const image = await VhdImage.open(io, 'write');
    for (let at = 0; at < size; at += BLOCK) await image.write(at, Buffer.alloc(SECTOR, 1));
    await new Promise((resolve) => setImmediate(resolve));
    // No flush, no close: the process is gone.
    expect((await VhdImage.open(io, 'read')).allocatedBlocks).toBeGreaterThanOrEqual(512);
    expect(await checkVhd(io)).toEqual([]);
  });
});
