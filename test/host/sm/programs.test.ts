import { expect, test } from 'vitest';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { makeManyVdis, manyVdisBytes } from '../../support/lvhd-many-vdis.ts';
import { loopPool } from '../../support/loop-pool.ts';

/** What a command costs beside its work: one worker, and the launcher's own few. */
const LAUNCHER = ['launcher.sh', 'mkdir', 'setsid', 'node', 'sleep', 'cat'];

test.each([10, 100])('sr_scan of %i disks runs at most two LVM programs, and none for a disk', async (count) => {
  await using pool = await loopPool({
    sizeBytes: manyVdisBytes(count) + 64 * MiB,
    populate: (sr) => makeManyVdis(sr, count),
  });
  const { double, srRef } = pool;
  expect(double.db.where('VDI', 'SR', srRef)).toHaveLength(count);
  const programs = await pool.programsOf(() => srScan(double, srRef));
  expect(programs).toContain('lvm');
  expect(programs.filter((name) => name === 'lvm').length).toBeLessThanOrEqual(2);
  expect(programs.filter((name) => name !== 'lvm' && !LAUNCHER.includes(name))).toEqual([]);
});

test('what vdi_create and vdi_delete run is LVM alone', async () => {
  await using pool = await loopPool();
  const { double, srRef } = pool;
  let ref = '';
  const created = await pool.programsOf(async () => {
    ({ ref } = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB }));
  });
  const deleted = await pool.programsOf(() => vdiDestroy(double, ref));
  // A report before, and one after each change.
  for (const run of [created, deleted])
    expect(run.filter((name) => !LAUNCHER.includes(name))).toEqual(['lvm', 'lvm', 'lvm', 'lvm', 'lvm']);
});
