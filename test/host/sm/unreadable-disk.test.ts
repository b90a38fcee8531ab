import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiResize,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { messageOf } from '../../../src/base/error.ts';
import { MiB } from '../../../src/base/units.ts';
import { makeUnreadable } from '../../support/lvhd-loop.ts';
import { loopPool, type LoopPool } from '../../support/loop-pool.ts';

/** Three disks, the last of which lies where the device answers every read with EIO. */
let pool: LoopPool;
let whole: Row;
let spare: Row;
let lost: Row;
let activating: Attempt;

const uuidOf = (vdi: Row): string => stringOf(vdi, 'uuid');

/** Without a device-mapper no volume can be activated on this machine: how far it came, and how that fails. */
interface Attempt {
  readonly lvmCalls: number;
  readonly failure: string;
}
async function attempt(vdi: Row): Promise<Attempt> {
  let failure = '';
  const programs = await pool.programsOf(async () => (failure = await activate(vdi)));
  return { lvmCalls: programs.filter((name) => name === 'lvm').length, failure };
}
const activate = (vdi: Row): Promise<string> =>
  vdiActivate(pool.double, pool.double.master.ref, vdi.ref, { writable: false }).then(() => '', messageOf);

beforeAll(async () => {
  pool = await loopPool({ allocation: 'thin' });
  const create = (): Promise<Row> => vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 2 * MiB });
  [whole, spare, lost] = [await create(), await create(), await create()];
  // The first grows the volume.
  await attempt(whole);
  activating = await attempt(whole);
  const lv = (await pool.sr.report()).lvs.find(({ name }) => name === `VHD-${uuidOf(lost)}`);
  makeUnreadable(pool.loop, lv?.segments[0]?.pvOffsetBytes ?? 0);
});
afterAll(() => pool[Symbol.asyncDispose]());

test('all other disks are activated and deactivated as before', async () => {
  // LVM has done it with this very volume; what is missing is its node.
  expect(activating.failure).toContain(`logical volume VHD-${uuidOf(whole)} was activated; expected /dev/mapper/`);
  expect(await attempt(whole)).toEqual(activating);
  expect((await attempt(lost)).lvmCalls).toBeLessThan(activating.lvmCalls);
  await vdiDeactivate(pool.double, pool.double.master.ref, whole.ref);
});

test('they can be grown and deleted', async () => {
  await vdiResize(pool.double, whole.ref, 4 * MiB);
  await vdiDestroy(pool.double, spare.ref);
});

test('the disk itself is named by what uses it, and by a scan, which changes no record', async () => {
  expect(await activate(lost)).toMatch(new RegExp(`VDI ${uuidOf(lost)} cannot be read: .*EIO`));
  await expect(srScan(pool.double, pool.srRef)).rejects.toThrow(new RegExp(`FAILURE_46 .*${uuidOf(lost)}`));
  const records = pool.double.db.where('VDI', 'SR', pool.srRef).map(uuidOf);
  expect(records.toSorted()).toEqual([whole, lost].map(uuidOf).toSorted());
});

test('it is let go all the same, and can be deleted; then a scan goes through', async () => {
  await vdiDeactivate(pool.double, pool.double.master.ref, lost.ref);
  await vdiDestroy(pool.double, lost.ref);
  await srScan(pool.double, pool.srRef);
});
