import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { RbdsrError } from '../../../../src/base/error.ts';
import { vdiUuid } from '../../../../src/base/ids.ts';
import { planRebuild } from '../../../../src/lvhd/metadata/rebuild.ts';
import type { VdiMetadata } from '../../../../src/lvhd/metadata/record.ts';
import { salvage } from '../../../../src/lvhd/metadata/salvage.ts';
import { type MemoryIo, memoryIo } from '../../../support/lvhd-memory-io.ts';

const SR = 'f021ca4c-2e84-40ca-9d5d-e98778fb994b';
const ONE = '81ffc03f-0b8d-4784-9dfe-c3f7a1c68ce4';
const TWO = 'a288d9eb-c91a-48e5-b8ef-9cb1be7e47b7';
const NEW = '11111111-2222-4333-8444-555555555555';

function damaged(damage: (bytes: Buffer) => void): MemoryIo {
  const bytes = readFileSync('test/fixtures/mgt/four.mgt');
  damage(bytes);
  const io = memoryIo(bytes.length);
  io.bytes.set(bytes);
  return io;
}

describe('salvage', () => {
  test('a sound volume: everything, no problem', async () => {
    const { sr, vdis, problems } = await salvage(damaged(() => {}));
    expect(sr?.nameLabel).toBe('Ceph shared-1 <&> SR');
    expect(vdis).toHaveLength(4);
    expect(problems).toEqual([]);
  });

  test('without its header, every record is found by what it holds', async () => {
    const { sr, vdis, problems } = await salvage(damaged((bytes) => bytes.fill(0, 0, 512)));
    expect(sr?.uuid).toBe(SR);
    expect(vdis.map(({ uuid }) => uuid)).toContain(ONE);
    expect(vdis).toHaveLength(4);
    expect(problems).toHaveLength(1);
  });

  test('noise over the names of the SR and over one record leaves the uuid and the other records', async () => {
    const { sr, vdis, problems } = await salvage(damaged((bytes) => bytes.fill(0xff, 1024, 2048 + 1024)));
    expect(sr).toMatchObject({ uuid: SR, allocation: 'thick', nameLabel: '' });
    expect(vdis.map(({ uuid }) => uuid)).not.toContain(ONE);
    expect(vdis).toHaveLength(3);
    expect(problems).toHaveLength(2);
  });

  test('nothing but noise', async () => {
    const { sr, vdis, problems } = await salvage(damaged((bytes) => bytes.fill(0x5a)));
    expect({ sr, vdis }).toEqual({ sr: undefined, vdis: [] });
    expect(problems).toHaveLength(2);
  });
});

describe('the plan', () => {
  const node = (uuid: string, hidden = false) => ({
    uuid: vdiUuid(uuid),
    kind: 'vhd' as const,
    lvName: `VHD-${uuid}`,
    hidden,
    old: false,
  });

  test('a disk is named by xapi before the volume, by the volume before its uuid', async () => {
    const salvaged = await salvage(damaged(() => {}));
    const [stored] = salvaged.vdis;
    const inXapi = { ...stored, nameLabel: 'renamed' } as VdiMetadata;
    const xapi = { sr: { nameLabel: 'SR of xapi' }, vdis: [inXapi] };
    const plan = planRebuild({
      uuid: SR,
      xapi,
      salvaged,
      nodes: [node(TWO), node(ONE), node(NEW, true)],
      allNodes: true,
    });
    expect(plan.vdis.map(({ record, source }) => [record.uuid, record.nameLabel, source])).toEqual([
      [ONE, 'renamed', 'xapi'],
      [TWO, 'café & <tags> "quoted"', 'volume'],
      [NEW, NEW, 'uuid'],
    ]);
    expect(plan.vdis.at(-1)?.record).toMatchObject({ managed: false, readOnly: true });
    expect(plan.sr).toMatchObject({ uuid: SR, nameLabel: 'SR of xapi', nameDescription: 'first été 中文' });
    expect(plan.dropped).toHaveLength(2);
  });

  test('where not all disks are known, no record is left out', async () => {
    const salvaged = await salvage(damaged(() => {}));
    const plan = planRebuild({ uuid: SR, salvaged, nodes: [node(NEW)], allNodes: false });
    expect(plan.vdis).toHaveLength(5);
    expect(plan.dropped).toEqual([]);
  });

  test('of a disk that cannot be read the record stays; without one it gets none', async () => {
    const salvaged = await salvage(damaged(() => {}));
    const scanError = new RbdsrError('vhd-corrupt', { what: 'no footer' });
    const nodes = [
      { ...node(ONE), scanError },
      { ...node(NEW), scanError },
    ];
    const plan = planRebuild({ uuid: SR, salvaged, nodes, allNodes: true });
    expect(plan.vdis.map(({ record, source }) => [record.uuid, source])).toEqual([[ONE, 'volume']]);
    expect(plan.undecided.map(({ uuid }) => uuid)).toEqual([NEW]);
  });

  test('a disk of another driver keeps its record, with the word of that driver for its kind', async () => {
    const salvaged = await salvage(damaged(() => {}));
    const [stored] = salvaged.vdis;
    const scanError = new RbdsrError('vdi-type', { what: 'not ours' });
    const foreign = (uuid: string) => ({ ...node(uuid), kind: 'foreign' as const, lvName: `QCOW2-${uuid}`, scanError });
    const xapi = { sr: {}, vdis: [{ ...stored, uuid: TWO, vdiType: 'vhd' } as VdiMetadata] };
    const nodes = [ONE, TWO, NEW].map(foreign);
    const plan = planRebuild({ uuid: SR, xapi, salvaged, nodes, allNodes: true });
    expect(plan.vdis.map(({ record, source }) => [record.uuid, record.vdiType, source])).toEqual([
      [ONE, 'qcow2', 'volume'],
      [TWO, 'qcow2', 'xapi'],
    ]);
    expect(plan.undecided.map(({ uuid }) => uuid)).toEqual([NEW]);
  });

  test('of an SR of which nothing is left, the uuids remain; a leaf set aside is no disk', async () => {
    const salvaged = await salvage(damaged((bytes) => bytes.fill(0)));
    const nodes = [node(ONE), { ...node(TWO), old: true }];
    const plan = planRebuild({ uuid: SR, salvaged, nodes, allNodes: true });
    expect(plan.sr).toEqual({ uuid: SR, allocation: 'thick', nameLabel: SR, nameDescription: '' });
    expect(plan.vdis.map(({ record }) => record.uuid)).toEqual([ONE]);
  });
});
