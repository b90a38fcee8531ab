import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB, SECTOR, TiB } from '../../../src/base/units.ts';
import { openChain } from '../../../src/vhd/chain/chain.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd, emptyVhdBytes } from '../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';
import { stamped, vector, VectorFiles } from './vectors.ts';

let files: VectorFiles;
beforeAll(() => {
  files = new VectorFiles();
});
afterAll(() => files[Symbol.dispose]());

const UUID = '12345678-1234-1234-1234-123456789abc';

/** An empty image like the one the vector began as, on a disk of the vector's size. */
async function twin(name: string): Promise<RecordedIo> {
  const original = await VhdImage.open(files.io(name), 'read');
  const { footer, header } = original;
  const io = new RecordedIo(original.io.size, name);
  const vhd = {
    virtualSizeBytes: Number(footer.originalSize),
    maxVirtualSizeBytes: original.maxVirtualSizeBytes,
    uuid: footer.uuid,
    timestamp: footer.timestamp,
  };
  const { parent, parent_is_raw } = vector(name);
  if (parent === undefined) await createVhd(io, vhd);
  else {
    await createChild(io, vhd, {
      name: parent_is_raw === true ? parent : `${parent}.vhd`,
      modified: header.parentTimestamp,
      ...(parent_is_raw === true ? {} : { uuid: header.parentUuid }),
    });
  }
  await original.close();
  return io;
}

describe('new images', () => {
  it.each(['empty', 'prealloc'])('%s has the bytes of the reference tool', async (name) => {
    expect((await twin(name)).bytes.equals(files.bytes(name))).toBe(true);
  });

  it('a hidden one too', async () => {
    const io = await twin('hidden');
    const image = await VhdImage.open(io, 'write');
    await image.setHidden(true);
    expect(io.bytes.equals(files.bytes('hidden'))).toBe(true);
  });

  it.each(['base', 'mid', 'leaf', 'rawchild', 'lv12'])(
    '%s, written again in the same order, has the bytes that tapdisk wrote',
    async (name) => {
      const io = await twin(name);
      const image = await VhdImage.open(io, 'write');
      for (const write of vector(name).writes ?? []) await image.write(write[0] * SECTOR, stamped(name, write));
      await image.close();
      expect(io.bytes.equals(files.bytes(name))).toBe(true);
    },
  );

  it('for 2 TiB lie where an SR has them', async () => {
    const vhd = { virtualSizeBytes: 10 * MiB, maxVirtualSizeBytes: 2 * TiB, uuid: UUID, timestamp: new Date(0) };
    expect(emptyVhdBytes(vhd)).toBe(4_327_936);
    const io = new RecordedIo(8 * MiB);
    await createVhd(io, vhd);
    const image = await VhdImage.open(io, 'write');
    expect([image.physicalSizeBytes, image.maxVirtualSizeBytes, image.footer.geometry]).toEqual([
      4_327_936,
      2 * TiB,
      0x012d0411,
    ]);
    await image.write(0, Buffer.alloc(SECTOR, 1));
    expect(image.extents(0, SECTOR)).toEqual([{ offset: 0, length: SECTOR, at: 8456 * SECTOR }]);
  });

  it('of a child in an SR name the parent in locators as long as the reference', async () => {
    const name =
      'VG_XenStorage--11111111--2222--3333--4444--555555555555-VHD--aaaaaaaa--bbbb--cccc--dddd--eeeeeeeeeeee';
    const io = new RecordedIo(8 * MiB);
    const vhd = { virtualSizeBytes: 10 * MiB, maxVirtualSizeBytes: 2 * TiB, uuid: UUID, timestamp: 0 };
    await createChild(io, vhd, { name, uuid: UUID, modified: 0 });
    const image = await VhdImage.open(io, 'read');
    expect(image.header.locators.map(({ length, offset }) => [length, offset]).slice(0, 4)).toEqual([
      [110, 4_327_424],
      [206, 4_327_936],
      [206, 4_328_448],
      [0, 0],
    ]);
    expect(image.physicalSizeBytes).toBe(4_329_472);
    let reference: unknown;
    await openChain(io, 'read', async (asked) => {
      reference = asked;
      return { raw: new RecordedIo(0) };
    }).catch(() => {});
    expect(reference).toEqual({
      child: 'memory',
      uuid: UUID,
      paths: [`./${name}`],
      lvName: 'VHD-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    });
  });

  it('are refused where their metadata does not fit', async () => {
    const vhd = { virtualSizeBytes: 8 * MiB, uuid: UUID, timestamp: 0 };
    const io = new RecordedIo(emptyVhdBytes(vhd) - 1);
    await expect(createVhd(io, vhd)).rejects.toMatchObject({ code: 'vdi-size' });
    expect(io.log).toEqual([]);
  });

  it('of a child refuse a name that no locator holds', async () => {
    const vhd = { virtualSizeBytes: 8 * MiB, uuid: UUID, timestamp: 0 };
    const creating = createChild(new RecordedIo(MiB), vhd, { name: 'x'.repeat(255), modified: 0 });
    await expect(creating).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
