import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { driverOf, runDriver, srCall } from '../../../lab/xapi-double/driver.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiActivate, vdiCreate, vdiDestroy, vdiResize } from '../../../lab/xapi-double/vdi-operations.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { cbtLogs, readCbtLog } from '../../../src/lvhd/cbt-log.ts';
import { cbtLogName } from '../../../src/lvhd/names.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { changedBy, makeLog } from '../../support/cbt-logs.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';

// An SR of the stock driver with changed-block tracking: what this release writes, no log of it knows. So a log never
// outlives the first write. There is no device-mapper here, so what activates a volume fails, after the log has gone.

const SIZE = 16 * MiB;

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool();
});
afterAll(() => pool[Symbol.asyncDispose]());

/** Of the first, whose data is gone, to the snapshot, to the disk: each log names the one before and the next. */
let [first, snapshot, disk]: Row[] = [];

beforeEach(async () => {
  const { double, srRef, sr } = pool;
  for (const { ref } of double.db.where('VDI', 'SR', srRef)) await vdiDestroy(double, ref);
  for (const row of double.db.where('message', 'cls', 'VDI')) double.db.destroy('message', row.ref);
  [snapshot, disk] = [await make(), await make()];
  const location = randomUUID();
  first = double.db.create('VDI', { ...snapshot.fields, uuid: location, location, type: 'cbt_metadata' });
  const [one, two, three] = [uuidOf(first), uuidOf(snapshot), uuidOf(disk)];
  await makeLog(sr, one, { sizeBytes: SIZE, child: two, changed: [0b0001] });
  await makeLog(sr, two, { sizeBytes: SIZE, parent: one, child: three, changed: [0b0010] });
  await makeLog(sr, three, { sizeBytes: SIZE, parent: two, changed: [0b0100] });
});

function make(): Promise<Row> {
  return vdiCreate(pool.double, { sr: pool.srRef, virtualSize: SIZE });
}

function uuidOf(row: Row | undefined): VdiUuid {
  if (row === undefined) throw new Error('no such disk');
  return vdiUuid(stringOf(row, 'uuid'));
}

async function logs(): Promise<string[]> {
  return cbtLogs(await pool.sr.report()).toSorted();
}

async function linksOf(row: Row | undefined): Promise<readonly (string | undefined)[]> {
  const { parent, child } = await readCbtLog(await pool.sr.openLv(cbtLogName(uuidOf(row)), 'read'));
  return [parent, child];
}

function named(...rows: readonly (Row | undefined)[]): string[] {
  return rows.map(uuidOf).toSorted();
}

function messages(): unknown[] {
  return pool.double.db.where('message', 'obj_uuid', uuidOf(disk)).map(({ fields }) => fields['name']);
}

async function expectEnded(): Promise<void> {
  expect(await logs()).toEqual(named(first, snapshot));
  expect(await linksOf(snapshot)).toEqual([uuidOf(first), undefined]);
  expect(disk?.fields['cbt_enabled']).toBe(false);
  expect(messages()).toEqual(['VDI_CBT_METADATA_INCONSISTENT']);
}

/** Right after the command, before a scan tells xapi. */
async function expectRightTotals(): Promise<void> {
  const { sizeBytes, freeBytes } = await pool.sr.report();
  expect(pool.double.db.get('SR', pool.srRef).fields['physical_utilisation']).toBe(sizeBytes - freeBytes);
}

/** Without the sr_update after it, which tells the totals, too. */
async function scanAlone(): Promise<void> {
  const { double, srRef } = pool;
  const call = { ...srCall(double, srRef, host(0)), command: 'sr_scan' };
  (await runDriver(double, host(0), driverOf(double, 'rbd'), call)).unit();
}

function host(index: number): string {
  return pool.double.hosts[index]?.ref ?? '';
}

test('a scan tells xapi of each log, and keeps what is left of the disk that has only one', async () => {
  await srScan(pool.double, pool.srRef);
  expect([snapshot, disk].map((row) => row?.fields['cbt_enabled'])).toEqual([true, true]);
  expect(pool.double.db.where('VDI', 'SR', pool.srRef).map(({ fields }) => fields['uuid'])).toContain(uuidOf(first));
  expect(await logs()).toEqual(named(first, snapshot, disk));
});

test.each([
  ['the master', 0],
  ['another host', 1],
])('before the disk is written on %s its tracking ends', async (_who, index) => {
  await srScan(pool.double, pool.srRef);
  await expect(vdiActivate(pool.double, host(index), disk?.ref ?? '', { writable: true })).rejects.toThrow();
  await expectEnded();
});

test('reading spoils nothing', async () => {
  await srScan(pool.double, pool.srRef);
  await expect(vdiActivate(pool.double, host(1), disk?.ref ?? '', { writable: false })).rejects.toThrow();
  expect(await logs()).toEqual(named(first, snapshot, disk));
  expect([disk?.fields['cbt_enabled'], messages()]).toEqual([true, []]);
});

test('where the master cannot end it, the disk is not used, and the log says why', async () => {
  await pool.sr.lvm.createLv(`zero_${uuidOf(snapshot)}_1`, 4 * MiB, { tag: 'journaler' });
  try {
    const failed = vdiActivate(pool.double, host(1), disk?.ref ?? '', { writable: true });
    await expect(failed).rejects.toThrow(/tracked in .*\.cbtlog.*was interrupted/is);
    expect(await logs()).toEqual(named(first, snapshot, disk));
  } finally {
    const report = await pool.sr.report();
    for (const { name } of report.lvs) if (name.startsWith('zero_')) await pool.sr.lvm.removeLv(name);
  }
});

test('asked again by a host that had no answer, the master finds it done', async () => {
  const args = { sr_uuid: stringOf(pool.double.db.get('SR', pool.srRef), 'uuid'), vdi_uuid: uuidOf(disk) };
  for (const _time of [1, 2]) {
    expect(await callPlugin(pool.double, host(0), 'rbdsr', 'end_tracking', args)).toEqual({ value: 'True' });
  }
  await expectEnded();
  await expectRightTotals();
});

test('a disk that grows is tracked no more', async () => {
  await vdiResize(pool.double, disk?.ref ?? '', SIZE + 4 * MiB);
  await expectEnded();
  await expectRightTotals();
});

test('a deleted disk takes its log with it, and what it says is said by the next one', async () => {
  await vdiDestroy(pool.double, snapshot?.ref ?? '');
  expect(await logs()).toEqual(named(first, disk));
  expect(await linksOf(first)).toEqual([undefined, uuidOf(disk)]);
  expect(await linksOf(disk)).toEqual([uuidOf(first), undefined]);
  expect(await changedBy(pool.sr, uuidOf(disk), 2)).toEqual([0b0110, 0]);
  await expectRightTotals();
});

test('so does one of which only the log is left', async () => {
  await vdiDestroy(pool.double, first?.ref ?? '');
  expect(await logs()).toEqual(named(snapshot, disk));
  expect(await linksOf(snapshot)).toEqual([undefined, uuidOf(disk)]);
  expect(await changedBy(pool.sr, uuidOf(snapshot), 1)).toEqual([0b0011]);
  expect(pool.double.db.where('VDI', 'SR', pool.srRef).map(uuidOf)).not.toContain(uuidOf(first));
  await expectRightTotals();
});

test('a deletion that was cut short takes the log with it, too, once a scan ends it', async () => {
  await pool.withEnvironment({ RBDSR_FAULT: 'vdi-delete.after-mark' }, () =>
    expect(vdiDestroy(pool.double, snapshot?.ref ?? '')).rejects.toThrow(),
  );
  await scanAlone();
  expect(await logs()).toEqual(named(first, disk));
  await expectRightTotals();
  expect(await changedBy(pool.sr, uuidOf(disk), 1)).toEqual([0b0110]);
  const { vdis } = await new MetadataVolume(await pool.sr.openLv('MGT', 'read')).read();
  expect(vdis.map(({ uuid }) => uuid)).not.toContain(uuidOf(snapshot));
});
