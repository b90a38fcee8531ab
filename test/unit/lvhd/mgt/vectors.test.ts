import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memoryIo } from '../../../support/lvhd-memory-io.ts';
import { MetadataVolume } from '../../../../src/lvhd/metadata/metadata-volume.ts';
import type { VdiMetadata, MetadataRecord } from '../../../../src/lvhd/metadata/record.ts';

/** Volumes the stock storage manager wrote (test/fixtures/mgt), and what its own reader makes of them. */
interface VectorVdi {
  readonly name_label: string;
  readonly name_description: string;
  readonly uuid: string;
  readonly is_a_snapshot: string;
  readonly snapshot_of: string;
  readonly snapshot_time: string;
  readonly type: string;
  readonly vdi_type: string;
  readonly read_only: string;
  readonly managed: string;
  readonly metadata_of_pool: string;
  readonly offset: number;
}
interface Vector {
  readonly bytes: number;
  readonly sr: {
    readonly uuid: string;
    readonly allocation: 'thick';
    readonly name_label: string;
    readonly name_description: string;
  };
  readonly vdis: Readonly<Record<string, VectorVdi>>;
}
const FOLDER = `${import.meta.dirname}/../../../fixtures/mgt`;
const manifest = JSON.parse(readFileSync(`${FOLDER}/manifest.json`, 'utf8')) as Record<string, Vector>;
const bytesOf = (file: string): Buffer => readFileSync(`${FOLDER}/${file}`);
const MGT_SIZE = 4 * 1024 * 1024;

function volumeOf(file: string) {
  const io = memoryIo(MGT_SIZE);
  bytesOf(file).copy(io.bytes);
  return { io, volume: new MetadataVolume(io) };
}

function vector(file: string): Vector {
  const found = manifest[file];
  if (found === undefined) throw new Error(`no vector ${file}`);
  return found;
}

function asStock(vdi: MetadataRecord) {
  return {
    name_label: vdi.nameLabel,
    name_description: vdi.nameDescription,
    uuid: vdi.uuid,
    is_a_snapshot: vdi.isASnapshot ? '1' : '0',
    snapshot_of: vdi.snapshotOf,
    snapshot_time: vdi.snapshotTime,
    type: vdi.type,
    vdi_type: vdi.vdiType,
    read_only: vdi.readOnly ? '1' : '0',
    managed: vdi.managed ? '1' : '0',
    metadata_of_pool: vdi.metadataOfPool,
    deleted: vdi.deleted ? '1' : '0',
    offset: vdi.offset,
  };
}

function user(uuid: string, nameLabel: string, nameDescription = ''): VdiMetadata {
  return {
    uuid,
    nameLabel,
    nameDescription,
    isASnapshot: false,
    snapshotOf: '',
    snapshotTime: '',
    type: 'user',
    vdiType: 'vhd',
    readOnly: false,
    managed: true,
    metadataOfPool: '',
  };
}

const SR = {
  uuid: 'f021ca4c-2e84-40ca-9d5d-e98778fb994b',
  allocation: 'thick',
  nameLabel: 'Ceph shared-1 <&> SR',
  nameDescription: 'first été 中文',
} as const;

/** What the stock side was given for four.mgt; the long names reach the volume cut. */
const FOUR = [
  user('81ffc03f-0b8d-4784-9dfe-c3f7a1c68ce4', 'disk one', 'root disk'),
  user('a288d9eb-c91a-48e5-b8ef-9cb1be7e47b7', 'café & <tags> "quoted"', "it's"),
  user('d1e5507b-3905-4b1c-b06b-bef4cdd64fbc', 'x'.repeat(300), 'y'.repeat(300)),
  { ...user('d0333ef8-290a-4a3c-b431-ffe3e3cff979', '漢字'.repeat(100), 'ü'.repeat(300)), vdiType: 'aio' },
];

describe('metadata volumes of the stock storage manager', () => {
  it.each(Object.keys(manifest))('%s is read as stock reads it', async (file) => {
    const { sr, vdis, problems } = await volumeOf(file).volume.read();
    const expected = vector(file);
    expect(sr).toEqual({
      uuid: expected.sr.uuid,
      allocation: expected.sr.allocation,
      nameLabel: expected.sr.name_label,
      nameDescription: expected.sr.name_description,
    });
    expect(vdis.map(asStock)).toEqual(Object.values(expected.vdis));
    expect(problems).toEqual([]);
  });

  it('create writes the bytes of empty.mgt', async () => {
    const io = memoryIo(MGT_SIZE);
    await new MetadataVolume(io).create(SR);
    expect(io.bytes.subarray(0, 2048).equals(bytesOf('empty.mgt'))).toBe(true);
  });

  it('create with four VDIs writes the bytes of four.mgt', async () => {
    const io = memoryIo(MGT_SIZE);
    await new MetadataVolume(io).create(SR, FOUR);
    expect(io.bytes.toString('utf8', 0, 6144)).toBe(bytesOf('four.mgt').toString('utf8'));
  });

  it('adding the four one by one gives the same bytes', async () => {
    const { io, volume } = volumeOf('empty.mgt');
    for (const vdi of FOUR) await volume.add(vdi);
    expect(io.bytes.toString('utf8', 0, 6144)).toBe(bytesOf('four.mgt').toString('utf8'));
  });

  it('the edits of edited.mgt give its bytes', async () => {
    const { io, volume } = volumeOf('four.mgt');
    await volume.add(user('625267e0-fa9f-4034-bcd9-e90b08593a58', 'added later'));
    await volume.delete('a288d9eb-c91a-48e5-b8ef-9cb1be7e47b7');
    await volume.add({
      ...user('f386593b-256c-4438-8fa6-a6510d924545', 'snap of one'),
      isASnapshot: true,
      snapshotOf: '81ffc03f-0b8d-4784-9dfe-c3f7a1c68ce4',
      snapshotTime: '20261122T07:00:00Z',
    });
    await volume.updateVdi('81ffc03f-0b8d-4784-9dfe-c3f7a1c68ce4', {
      nameLabel: 'renamed',
      nameDescription: 'root disk',
    });
    await volume.updateSr({ nameLabel: 'renamed SR', nameDescription: 'changed' });
    await volume.delete('d0333ef8-290a-4a3c-b431-ffe3e3cff979');
    expect(io.bytes.toString('utf8', 0, 7168)).toBe(bytesOf('edited.mgt').toString('utf8'));
  });
});
