import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { srScan, srUpdate } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy, vdiResize, vdiUpdate } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { lvName } from '../../../src/lvhd/names.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';

// What xapi is told beside the work itself: it fails nothing that is done, and it is told.

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool({ allocation: 'thin' });
});
afterAll(() => pool[Symbol.asyncDispose]());
afterEach(() => pool.double.refused.clear());

function sr(): Row {
  return pool.double.db.get('SR', pool.srRef);
}

async function lvSizeOf(vdi: Row): Promise<number | undefined> {
  const name = lvName('vhd', vdiUuid(stringOf(vdi, 'uuid')));
  return (await pool.sr.report()).lvs.find((lv) => lv.name === name)?.sizeBytes;
}

test('a disk is made, grown and deleted, and an SR updated, where xapi does not take the totals; the next scan tells them', async () => {
  const { double, srRef } = pool;
  const before = sr().fields['physical_utilisation'];
  double.refused.add('SR.set_physical_utilisation');
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  await vdiResize(double, vdi.ref, 32 * MiB);
  const other = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  await vdiDestroy(double, other.ref);
  await srUpdate(double, srRef);
  expect(double.db.where('VDI', 'SR', srRef).map(({ ref }) => ref)).toEqual([vdi.ref]);
  expect(vdi.fields['virtual_size']).toBe(32 * MiB);
  expect(sr().fields['physical_utilisation']).toBe(before);
  double.refused.clear();
  await srScan(double, srRef);
  const { sizeBytes, freeBytes } = await pool.sr.report();
  expect(sr().fields['physical_utilisation']).toBe(sizeBytes - freeBytes);
});

test('xapi is told what a thin disk takes when it grows and when it shrinks', async () => {
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 64 * MiB });
  const host = double.hosts[1]?.ref ?? '';
  const args = { sr_uuid: stringOf(sr(), 'uuid'), vdi_uuid: stringOf(vdi, 'uuid'), host_ref: host };
  vdi.fields['sm_config'] = { vdi_type: 'vhd', [`host_${host}`]: 'RW' };
  const sizes: unknown[] = [];
  for (const fn of ['inflate', 'deflate']) {
    expect(await callPlugin(double, double.master.ref, 'rbdsr', fn, args)).toEqual({ value: 'True' });
    expect(vdi.fields['physical_utilisation']).toBe(await lvSizeOf(vdi));
    const { sizeBytes, freeBytes } = await pool.sr.report();
    expect(sr().fields['physical_utilisation']).toBe(sizeBytes - freeBytes);
    sizes.push(vdi.fields['physical_utilisation']);
  }
  expect(sizes).toEqual([72 * MiB, 8 * MiB]);
  await vdiDestroy(double, vdi.ref);
});

test('a disk with metadata of a pool is that of the same pool when a scan finds it anew', async () => {
  const { double, srRef } = pool;
  const pools = double.db.all('pool').map(({ ref }) => ref);
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB, type: 'metadata' });
  vdi.fields['metadata_of_pool'] = pools[0] ?? '';
  await vdiUpdate(double, vdi.ref);
  double.db.destroy('VDI', vdi.ref);
  await srScan(double, srRef);
  const found = double.db.byUuid('VDI', stringOf(vdi, 'uuid'));
  expect(found.fields['metadata_of_pool']).toBe(pools[0]);
});

test('a scan that changes which disks there are is made once more, and asks for no other', async () => {
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  double.db.destroy('VDI', vdi.ref);
  sr().fields['other_config'] = { dirty: '' };
  const before = double.runs.length;
  await srScan(double, srRef);
  const commands = double.runs.slice(before).map(({ request }) => /<methodName>(\w+)</.exec(request)?.[1]);
  expect(commands).toEqual(['sr_scan', 'sr_update', 'sr_scan', 'sr_update']);
  expect(double.db.byUuid('VDI', stringOf(vdi, 'uuid')).fields['managed']).toBe(true);
  expect(sr().fields['other_config']).toEqual({});
});
