import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryIo } from '../../../support/lvhd-memory-io.ts';
import type { MemoryIo } from '../../../support/lvhd-memory-io.ts';
import { MetadataVolume } from '../../../../src/lvhd/metadata/metadata-volume.ts';
import type { VdiMetadata } from '../../../../src/lvhd/metadata/record.ts';

const SR = {
  uuid: '11111111-2222-3333-4444-555555555555',
  allocation: 'thin',
  nameLabel: 'sr',
  nameDescription: '',
} as const;

function vdi(n: number, names: Partial<VdiMetadata> = {}): VdiMetadata {
  return {
    uuid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    nameLabel: `disk ${n}`,
    nameDescription: '',
    isASnapshot: false,
    snapshotOf: '',
    snapshotTime: '',
    type: 'user',
    vdiType: 'vhd',
    readOnly: false,
    managed: true,
    metadataOfPool: '',
    ...names,
  };
}

async function withVdis(count: number, size = 64 * 1024): Promise<{ io: MemoryIo; volume: MetadataVolume }> {
  const io = memoryIo(size);
  const volume = new MetadataVolume(io);
  await volume.create(
    SR,
    Array.from({ length: count }, (_, n) => vdi(n)),
  );
  io.log.length = 0;
  return { io, volume };
}

const uuids = async (volume: MetadataVolume): Promise<string[]> =>
  (await volume.read()).vdis.map((record) => record.uuid);

// eslint-disable-next-line no-control-regex -- what XML cannot hold
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

describe('MetadataVolume', () => {
  it('keeps any names through a round trip, cut where they are long, and never makes an unreadable record', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 600 }),
        fc.string({ maxLength: 600 }),
        async (label, description) => {
          const { volume } = await withVdis(1);
          await volume.add(vdi(7, { nameLabel: label, nameDescription: `&<>${description}` }));
          await volume.updateSr({ nameLabel: `${label}&`, nameDescription: description });
          const { vdis, sr } = await volume.read();
          const clean = (text: string) => text.replaceAll(NOT_XML, '').trim();
          const read = vdis.find((record) => record.uuid === vdi(7).uuid)?.nameLabel ?? 'no record';
          expect(clean(label).startsWith(read.trim())).toBe(true);
          expect(clean(`${label}&`).startsWith(sr.nameLabel)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('never cuts an entity in two', async () => {
    const { volume } = await withVdis(0);
    await volume.add(vdi(1, { nameLabel: '&'.repeat(300), nameDescription: '<'.repeat(300) }));
    const [record] = (await volume.read()).vdis;
    expect(record?.nameLabel).toBe('&'.repeat(44));
    expect(record?.nameDescription).toBe('<'.repeat(55));
  });

  it('cuts the SR names at 487 and 475 bytes', async () => {
    const { volume } = await withVdis(0);
    await volume.updateSr({ nameLabel: 'a'.repeat(600), nameDescription: 'é'.repeat(600) });
    const { sr } = await volume.read();
    expect([sr.nameLabel.length, sr.nameDescription.length]).toEqual([487, 237]);
  });

  it('reuses the last deleted slot and gives back only the last record', async () => {
    const { io, volume } = await withVdis(4);
    await volume.delete(vdi(0).uuid);
    await volume.delete(vdi(2).uuid);
    expect(io.bytes.toString('latin1', 0, 20)).toContain('XSSM:6144 ');
    await volume.add(vdi(9));
    expect((await volume.read()).vdis.map((record) => [record.uuid, record.offset])).toEqual([
      [vdi(1).uuid, 3072],
      [vdi(9).uuid, 4096],
      [vdi(3).uuid, 5120],
    ]);
    await volume.delete(vdi(3).uuid);
    expect(io.bytes.toString('latin1', 0, 20)).toContain('XSSM:5120 ');
  });

  it('delete of an unknown VDI changes nothing; a second add of one is refused', async () => {
    const { io, volume } = await withVdis(2);
    expect(await volume.delete(vdi(5).uuid)).toBe(false);
    await expect(volume.add(vdi(1))).rejects.toMatchObject({ code: 'vdi-exists' });
    await expect(volume.updateVdi(vdi(5).uuid, {})).rejects.toMatchObject({ code: 'vdi-missing' });
    expect(io.log).toEqual([]);
  });

  it('writes the record before the header that counts it, each flushed', async () => {
    const { io, volume } = await withVdis(1);
    await volume.add(vdi(5));
    expect(io.log).toEqual([{ offset: 3072, length: 1024 }, 'flush', { offset: 0, length: 512 }, 'flush']);
  });

  it('is full at its last whole record, and says so before anything is written', async () => {
    const { io, volume } = await withVdis(3, 2048 + 3 * 1024 + 512);
    await expect(volume.checkSpace()).rejects.toMatchObject({ code: 'sr-full' });
    await expect(volume.add(vdi(5))).rejects.toMatchObject({ code: 'sr-full' });
    expect(io.log).toEqual([]);
    await volume.delete(vdi(1).uuid);
    await volume.checkSpace();
    await volume.add(vdi(5));
    expect(await uuids(volume)).toEqual([vdi(0).uuid, vdi(5).uuid, vdi(2).uuid]);
  });

  it.each([
    ['a record', 3072, '<vdi><name_l@bel>', 'record 1 at byte 3072'],
    ['a bare ampersand', 3072, '<vdi><name_label>&</name_label>', 'record 1 at byte 3072'],
    ['the header', 0, 'XSSM:99999999  :1:2', 'header at byte 0'],
    ['the version', 0, 'XSSM:5120      :1:3', 'format 1.3'],
    ['the SR sectors', 512, '<uuid', 'SR sectors at byte 512'],
    ['an empty header', 0, '\0'.repeat(512), 'an empty header'],
  ])('damage in %s is refused by name', async (_what, offset, text, expected) => {
    const { io, volume } = await withVdis(3);
    io.bytes.write(text, offset, 'latin1');
    await expect(volume.read()).rejects.toMatchObject({
      code: 'metadata-corrupt',
      message: expect.stringContaining(expected),
    });
  });

  it('a tolerant read leaves out what is damaged and says so', async () => {
    const { io, volume } = await withVdis(3);
    io.bytes.write('<vdi>&&&', 3072, 'latin1');
    const { vdis, problems } = await volume.read({ tolerant: true });
    expect(vdis.map((record) => record.uuid)).toEqual([vdi(0).uuid, vdi(2).uuid]);
    expect(problems.map((problem) => problem.detail.facts)).toEqual([{ part: 'record 1', offset: 3072 }]);
  });

  it('every cut between two writes leaves a volume that reads as before or after', async () => {
    const operations: [string, (volume: MetadataVolume) => Promise<unknown>][] = [
      ['add', (volume) => volume.add(vdi(9))],
      ['delete the last', (volume) => volume.delete(vdi(2).uuid)],
      ['delete the first', (volume) => volume.delete(vdi(0).uuid)],
      ['rename', (volume) => volume.updateVdi(vdi(1).uuid, { nameLabel: 'new' })],
    ];
    for (const [name, operation] of operations) {
      const { io: before, volume } = await withVdis(3);
      const old = await uuids(volume);
      const start = Buffer.from(before.bytes);
      await operation(volume);
      const after = await uuids(volume);
      const writes = before.log.filter((entry) => entry !== 'flush').length;
      expect(writes, name).toBeGreaterThan(0);
      for (let cut = 0; cut < writes; cut += 1) {
        const io = memoryIo(start.length, { stopAfter: cut });
        start.copy(io.bytes);
        await expect(operation(new MetadataVolume(io))).rejects.toMatchObject({ code: 'io' });
        expect([old, after], `${name}, cut ${cut}`).toContainEqual(await uuids(new MetadataVolume(io)));
      }
    }
  });

  it('a cut in create leaves no metadata, not half of it, also over an old volume', async () => {
    const { io: old } = await withVdis(3);
    for (const cut of [1, 2]) {
      const io = memoryIo(old.size, { stopAfter: cut });
      old.bytes.copy(io.bytes);
      await expect(new MetadataVolume(io).create(SR, [vdi(8)])).rejects.toMatchObject({ code: 'io' });
      await expect(new MetadataVolume(io).read()).rejects.toMatchObject({ code: 'metadata-corrupt' });
    }
  });

  it('reads elements in any order, as Python 2 wrote them, and the text of old stock versions', async () => {
    const { io, volume } = await withVdis(1);
    const shuffled =
      '<deleted>0</deleted><vdi_type>vhd</vdi_type><uuid>u</uuid><managed>1</managed><type>user</type><read_only>0</read_only>' +
      '<snapshot_time></snapshot_time><metadata_of_pool>OpaqueRef:NULL</metadata_of_pool><is_a_snapshot>0</is_a_snapshot><snapshot_of/></vdi>';
    io.bytes.fill(0x20, 2560, 3072).write(shuffled, 2560, 'latin1');
    expect((await volume.read()).vdis).toMatchObject([{ uuid: 'u', snapshotOf: '', metadataOfPool: 'OpaqueRef:NULL' }]);
  });
});
