import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { hideVdi } from '../../../src/lvhd/vdi-delete.ts';
import { MetadataVolume } from '../../../src/lvhd/mgt/metadata-volume.ts';
import { openBlockIo } from '../../../src/system/block-device.ts';
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
