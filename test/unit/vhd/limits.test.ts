import { describe, expect, it } from 'vitest';
import { GiB, MiB, TiB } from '../../../src/base/units.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { decodeFooter, encodeFooter } from '../../../src/vhd/format/footer.ts';
import { readBat, readMetadata } from '../../../src/vhd/image/metadata.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';

const UUID = '22222222-2222-2222-2222-222222222222';
const BLOCK = 2 * MiB;

async function disk(virtualSizeBytes: number, maxVirtualSizeBytes = 16 * GiB): Promise<RecordedIo> {
  const io = new RecordedIo(16 * MiB);
  await createVhd(io, { virtualSizeBytes, maxVirtualSizeBytes, uuid: UUID, timestamp: 0 });
  return io;
}

describe.each([
  ['8 GiB and 2 MiB', 8 * GiB + BLOCK],
  ['8 GiB and 14 MiB', 8 * GiB + 14 * MiB],
])('a batmap of %s, whose checksum covers 4096 blocks', (_size, bytes) => {
  const last = bytes - BLOCK;

  it('has no bit for the blocks behind them: what lies there is not believed', async () => {
    const io = await disk(bytes);
    const image = await VhdImage.open(io, 'write');
    await image.write(last, Buffer.alloc(512, 7));
    await image.close();
    const { batmap, footer, header } = await readMetadata(io, {});
    io.bytes.fill(0xff, batmap!.mapOffset + 512, batmap!.mapOffset + 1024);
    // Of the block its first sector alone was written: behind it lies what was on the device before.
    const data = (await readBat(io, footer, header))[last / BLOCK]! * 512 + 512;
    io.bytes.fill(0x55, data + 512, data + BLOCK);
    const again = await VhdImage.open(io, 'read');
    expect(await again.read(last, 512)).toEqual(Buffer.alloc(512, 7));
    expect([...(await again.read(last + 512, 512))].every((byte) => byte === 0)).toBe(true);
  });

  it('is not written there either', async () => {
    const io = await disk(bytes);
    const { batmap } = await readMetadata(io, {});
    io.bytes.fill(0xaa, batmap!.mapOffset + 512, batmap!.mapOffset + 1024);
    const image = await VhdImage.open(io, 'write');
    await image.write(last, Buffer.alloc(BLOCK, 3));
    await image.write(0, Buffer.alloc(BLOCK, 4));
    await image.close();
    expect(io.bytes[batmap!.mapOffset]).toBe(0x80);
    expect(io.bytes.subarray(batmap!.mapOffset + 512, batmap!.mapOffset + 1024).every((byte) => byte === 0xaa)).toBe(
      true,
    );
    expect(await checkVhd(io)).toEqual([]);
    const again = await VhdImage.open(io, 'read');
    expect((await again.read(last, BLOCK)).equals(Buffer.alloc(BLOCK, 3))).toBe(true);
  });
});

it.each([2 * TiB + BLOCK, 4 * TiB, 2 ** 52])(
  'a size of %d bytes is refused before anything is counted by it',
  async (size) => {
    const io = await disk(8 * MiB);
    const wrong = encodeFooter({ ...decodeFooter(io.bytes.subarray(0, 512), 0), currentSize: size });
    io.bytes.set(wrong, 0);
    io.bytes.set(wrong, io.bytes.length - 512);
    await expect(VhdImage.open(io, 'read')).rejects.toThrow(expect.objectContaining({ code: 'vhd-corrupt' }));
    await expect(VhdImage.open(io, 'read')).rejects.toThrow(/2 TiB/);
    expect((await checkVhd(io)).map(({ message }) => message).join()).toContain('2 TiB');
  },
);

it('a batmap whose header is damaged keeps its place: no block lands there', async () => {
  const io = await disk(64 * MiB, 2 * TiB);
  const { batmap, footer, header } = await readMetadata(io, {});
  const head = batmap!.mapOffset - 512;
  const mapEnd = batmap!.mapOffset + batmap!.mapSectors * 512;
  io.bytes.write('damaged!', head);
  const image = await VhdImage.open(io, 'write');
  for (let block = 0; block < 4; block += 1) await image.write(block * BLOCK, Buffer.alloc(512, block + 1));
  await image.close();
  const places = [...(await readBat(io, footer, header)).subarray(0, 4)];
  expect(Math.min(...places) * 512).toBeGreaterThanOrEqual(mapEnd);
});

it('an image whose data reach its end is read, and not written: a footer would lie over them', async () => {
  const whole = await disk(8 * MiB);
  const image = await VhdImage.open(whole, 'write');
  await image.write(0, Buffer.alloc(BLOCK, 6));
  const { physicalSizeBytes } = image;
  await image.close();
  // As a transfer leaves it that lost the footer: the copy tells the rest.
  const cut = new RecordedIo(Buffer.from(whole.bytes.subarray(0, physicalSizeBytes - 512)));
  const before = Buffer.from(cut.bytes);
  await expect(VhdImage.open(cut, 'write')).rejects.toMatchObject({ code: 'vhd-corrupt' });
  expect((await (await VhdImage.open(cut, 'read')).read(0, BLOCK)).equals(Buffer.alloc(BLOCK, 6))).toBe(true);
  expect(cut.bytes.equals(before)).toBe(true);
});
