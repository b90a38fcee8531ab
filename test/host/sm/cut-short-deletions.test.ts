import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiActivate, vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { hideVdi } from '../../../src/lvhd/ops/vdi-delete.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool({ allocation: 'thin' });
});
afterAll(() => pool[Symbol.asyncDispose]());

async function volumes(): Promise<string[]> {
  return (await pool.sr.report()).lvs.map(({ name }) => name).filter((name) => name !== 'MGT');
}

async function metadata(): Promise<string[]> {
  const { vdis } = await new MetadataVolume(await pool.sr.openLv('MGT', 'read')).read();
  return vdis.map(({ uuid }) => uuid);
}

const STEPS = ['after-hidden', 'after-mark', 'after-metadata', 'after-forget'] as const;

test.each((['vhd', 'raw'] as const).flatMap((kind) => STEPS.map((step) => [kind, step] as const)))(
  'a %s disk whose deletion was killed at vdi-delete.%s is gone after the next scan',
  async (kind, step) => {
    const { double, srRef } = pool;
    const { ref, fields } = await vdiCreate(double, {
      sr: srRef,
      virtualSize: 16 * MiB,
      ...(kind === 'raw' ? { smConfig: { type: 'raw' } } : {}),
    });
    await pool.withEnvironment({ RBDSR_FAULT: `vdi-delete.${step}` }, () =>
      expect(vdiDestroy(double, ref)).rejects.toThrow(),
    );
    expect(await volumes()).toHaveLength(1);

    await srScan(double, srRef);
    expect(await volumes()).toEqual([]);
    expect(await metadata()).not.toContain(fields['uuid']);
    expect(double.db.where('VDI', 'SR', srRef)).toEqual([]);
    const report = await pool.sr.report();
    expect(double.db.get('SR', srRef).fields['physical_utilisation']).toBe(report.sizeBytes - report.freeBytes);
  },
);

/** As a host's failure in the middle of a deletion leaves it. */
async function halfDeleted(): Promise<Row> {
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  await pool.withEnvironment({ RBDSR_FAULT: 'vdi-delete.after-hidden' }, () =>
    expect(vdiDestroy(double, vdi.ref)).rejects.toThrow(),
  );
  return vdi;
}

test.each([
  ['can be read again', true],
  ['still cannot', false],
])('a disk whose header could not be read when it was deleted does not come back where it %s', async (_what, again) => {
  const { double, srRef, sr } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  const lv = (await sr.report()).lvs.find(({ name }) => name === `VHD-${stringOf(vdi, 'uuid')}`);
  const at = lv?.segments[0]?.pvOffsetBytes ?? 0;
  const io = await openBlockIo(sr.lvm.device, 'write');
  try {
    const header = Buffer.from(await io.read(at, 4096));
    await io.write(at, Buffer.alloc(4096, 0xee));
    await pool.withEnvironment({ RBDSR_FAULT: 'vdi-delete.after-forget' }, () =>
      expect(vdiDestroy(double, vdi.ref)).rejects.toThrow(),
    );
    if (again) await io.write(at, header);
  } finally {
    await io.close();
  }
  await srScan(double, srRef);
  expect(double.db.where('VDI', 'SR', srRef)).toEqual([]);
  expect(await volumes()).toEqual([]);
});

test('a half-deleted disk is given to nobody', async () => {
  const { double, srRef } = pool;
  const vdi = await halfDeleted();
  const host = double.hosts[1]?.ref ?? '';
  const activated = vdiActivate(double, host, vdi.ref, { writable: true });
  await expect(activated).rejects.toThrow(/FAILURE_46 .*deletion was cut short.*Delete it again/);
  expect(Object.keys(mapOf(vdi, 'sm_config')).filter((key) => /^host_|^activating$/.test(key))).toEqual([]);
  await srScan(double, srRef);
  expect(await volumes()).toEqual([]);
});

test('a half-deleted disk that a host has active stays until it has it no more', async () => {
  const { double, srRef } = pool;
  const vdi = await halfDeleted();
  const uuid = stringOf(vdi, 'uuid');
  const smConfig = mapOf(vdi, 'sm_config');
  vdi.fields['sm_config'] = { ...smConfig, [`host_${double.hosts[1]?.ref ?? ''}`]: 'RW' };
  await srScan(double, srRef);
  expect(await volumes()).toEqual([`VHD-${uuid}`]);
  expect(await metadata()).toContain(uuid);
  expect(double.db.where('VDI', 'SR', srRef).map(({ ref }) => ref)).toEqual([vdi.ref]);

  vdi.fields['sm_config'] = smConfig;
  await srScan(double, srRef);
  expect(await volumes()).toEqual([]);
  expect(double.db.where('VDI', 'SR', srRef)).toEqual([]);
});

test('a hidden volume that was no disk of a user is left to the collector', async () => {
  const { double, srRef, sr } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  const uuid = vdiUuid(stringOf(vdi, 'uuid'));
  const report = await sr.report();
  const node = new VdiTree(await readVdiNodes(report, sr.pvIo)).get(uuid);
  await hideVdi({ lvm: sr.lvm, openPv: (mode) => openBlockIo(sr.lvm.device, mode) }, report, node);
  // As a base copy is known to xapi.
  vdi.fields['managed'] = false;

  await srScan(double, srRef);
  expect(double.db.where('VDI', 'SR', srRef)).toEqual([]);
  expect(await volumes()).toEqual([node.lvName]);
  await srScan(double, srRef);
  expect(await volumes()).toEqual([node.lvName]);
});
