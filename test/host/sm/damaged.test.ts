import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan, srUpdate } from '../../../lab/xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiUpdate,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { loopPool, type LoopPool } from '../../support/loop-pool.ts';

let pool: LoopPool;
let vdi: Row;

beforeAll(async () => {
  pool = await loopPool();
  vdi = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 2 * MiB });
});
afterAll(() => pool[Symbol.asyncDispose]());

test('a disk without header and footers is deactivated all the same; activating it names it; it can be deleted', async () => {
  const damaged = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 2 * MiB });
  const uuid = stringOf(damaged, 'uuid');
  const lv = await pool.sr.openLv(`VHD-${uuid}`, 'write');
  await lv.write(0, Buffer.alloc(1536));
  await lv.write(lv.size - 512, Buffer.alloc(512));
  await lv.close();

  const host = pool.double.master.ref;
  await vdiDeactivate(pool.double, host, damaged.ref);
  const activated = vdiActivate(pool.double, host, damaged.ref, { writable: true });
  await expect(activated).rejects.toThrow(new RegExp(`FAILURE_65 .*VDI ${uuid} cannot be read: .*rbdsr vhd check`));
  await expect(srScan(pool.double, pool.srRef)).rejects.toThrow(new RegExp(`FAILURE_46 .*${uuid}`));
  await vdiDestroy(pool.double, damaged.ref);
  await srScan(pool.double, pool.srRef);
});

test('with a damaged metadata volume everything that writes it refuses, and the disk stays as it is', async () => {
  const mgt = await pool.sr.openLv('MGT', 'write');
  await mgt.write(0, Buffer.alloc(4096, 'x'));
  await mgt.close();

  const writers: readonly (() => Promise<unknown>)[] = [
    () => vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 2 * MiB }),
    () => vdiUpdate(pool.double, vdi.ref),
    () => vdiDestroy(pool.double, vdi.ref),
  ];
  for (const write of writers) {
    await expect(write()).rejects.toThrow(/SR_BACKEND_FAILURE_181 .*rbdsr mgt rebuild/);
  }
  // Whether the disk may be written is in there: a scan that cannot read it leaves what xapi has.
  vdi.fields['read_only'] = true;
  await srScan(pool.double, pool.srRef);
  const records = pool.double.db.where('VDI', 'SR', pool.srRef);
  expect(records.map((row) => stringOf(row, 'uuid'))).toEqual([stringOf(vdi, 'uuid')]);
  expect(vdi.fields['read_only']).toBe(true);
  // xapi calls it after each scan, and would scan again and again.
  await srUpdate(pool.double, pool.srRef);
});
