import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { mapOf, type Row } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { DISK_BYTES, makeChain } from './chain-in-pool.ts';
import { CollectedSr, type GcEnd } from './collected-sr.ts';

// `rbdsr gc` on the master of a pool: a chain of two hidden nodes, with two disks.

const id = (n: number): VdiUuid => vdiUuid(`0000000${n}-1111-4222-8333-0123456789ab`);
const [BASE, INNER, FIRST, SECOND] = [id(1), id(2), id(3), id(4)];

let pool: LoopPool;
let shown: ReadonlyMap<VdiUuid, Buffer>;
beforeEach(async () => {
  await pool?.[Symbol.asyncDispose]();
  pool = await loopPool({
    sizeBytes: 256 * MiB,
    populate: async (sr) => {
      shown = await makeChain(sr, [
        { uuid: BASE, hidden: true, writes: [[0, 3 * MiB, 1]] },
        {
          uuid: INNER,
          hidden: true,
          parent: BASE,
          writes: [
            [MiB, 4096, 2],
            [4 * MiB, 2 * MiB, 3],
            [7 * MiB, 512, 4],
          ],
        },
        { uuid: FIRST, hidden: false, parent: INNER, writes: [[4 * MiB + 512, 512, 5]] },
        { uuid: SECOND, hidden: false, parent: INNER, writes: [] },
      ]);
    },
  });
  await srScan(pool.double, pool.srRef);
});
afterAll(() => pool[Symbol.asyncDispose]());

const gc = (args: readonly string[] = [], host = 0, environment = {}): Promise<GcEnd> =>
  new CollectedSr(pool).runGc(args, { host, environment });
const srUuid = (): string => new CollectedSr(pool).srUuid;
const records = (): Row[] => new CollectedSr(pool).records();
const recordOf = (uuid: VdiUuid): Row | undefined => new CollectedSr(pool).record(uuid);
const parentOf = (uuid: VdiUuid): unknown => mapOf(recordOf(uuid) as Row, 'sm_config')['vhd-parent'];

async function tree(): Promise<VdiTree> {
  return new VdiTree(await readVdiNodes(await pool.sr.report(), pool.sr.pvIo));
}

async function allRead(): Promise<void> {
  const now = await tree();
  for (const uuid of [FIRST, SECOND]) {
    const disk = await openVdi(now, uuid, pool.sr.openLv);
    expect([uuid, (await disk.read(0, DISK_BYTES)).equals(shown.get(uuid) ?? Buffer.alloc(0))]).toEqual([uuid, true]);
  }
}

async function isMerged(): Promise<void> {
  await allRead();
  const { lvs } = await pool.sr.report();
  expect(lvs.map(({ name }) => name).toSorted()).toEqual([
    'MGT',
    ...[BASE, FIRST, SECOND].map((uuid) => `VHD-${uuid}`),
  ]);
  expect(listJournals(await pool.sr.report())).toEqual([]);
  expect([parentOf(FIRST), parentOf(SECOND), recordOf(INNER)]).toEqual([BASE, BASE, undefined]);
  for (const row of records()) expect(mapOf(row, 'sm_config')).not.toHaveProperty('relinking');
  for (const { lvName } of (await tree()).nodes)
    expect(await checkVhd(await pool.sr.openLv(lvName, 'read'))).toEqual([]);
  const { vdis } = await new MetadataVolume(await pool.sr.openLv('MGT', 'read')).read();
  expect(vdis.map(({ uuid }) => uuid)).not.toContain(INNER);
  expect(pool.double.offences).toEqual([]);
  // A scan finds nothing that is not so.
  const before = records().map(({ ref }) => ref);
  await srScan(pool.double, pool.srRef);
  expect(records().map(({ ref }) => ref)).toEqual(before);
}

const MERGE = `merge VHD-${INNER} into VHD-${BASE}: VHD-${INNER} is all that hangs on VHD-${BASE}`;

test('--dry-run says what would be done, and changes nothing', async () => {
  const before = (await pool.sr.report()).lvs;
  expect(await gc(['--dry-run'])).toMatchObject({ code: 0, stdout: `${MERGE}\n\nNothing was changed (--dry-run).\n` });
  const { stdout } = await gc(['--dry-run', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ plan: [{ kind: 'coalesce', vdi: INNER, into: BASE }] });
  expect((await pool.sr.report()).lvs).toEqual(before);
});

test('an inner node is merged, and goes with its records; the log has plain lines', async () => {
  const { code, stdout } = await gc();
  expect([code, stdout.includes('\r')]).toEqual([0, false]);
  expect(stdout).toContain(`${MERGE}\n`);
  expect(stdout).toContain('3 of 3 blocks\n');
  expect(stdout).toContain('2 done, 0 not.');
  await isMerged();
});

test('hosts that cannot be kept from using a disk meanwhile: nothing is copied, and it says why', async () => {
  writeFileSync(
    `${pool.root(0)}/etc/rbdsr/rbdsr.conf`,
    'profile = 8.2\ndatapath = nbd\ndeadline = 60\ncollect = by-hand\n',
  );
  const before = (await pool.sr.report()).lvs;
  const { code, stdout, stderr } = await gc();
  expect([code, stdout + stderr]).toEqual([
    1,
    expect.stringContaining(`VDI ${INNER} is not merged: the hosts of this version`),
  ]);
  expect((await pool.sr.report()).lvs).toEqual(before);
});

test('what is garbage goes as well, with the disk that hung on it', async () => {
  await vdiDestroy(pool.double, recordOf(FIRST)?.ref ?? '');
  await vdiDestroy(pool.double, recordOf(SECOND)?.ref ?? '');
  expect((await gc()).code).toBe(0);
  expect((await pool.sr.report()).lvs.map(({ name }) => name)).toEqual(['MGT']);
  expect(records()).toEqual([]);
});

function mark(uuid: VdiUuid, key: string): () => void {
  const row = recordOf(uuid) as Row;
  row.fields['sm_config'] = { ...mapOf(row, 'sm_config'), [key]: 'RW' };
  return () => delete (row.fields['sm_config'] as Record<string, string>)[key];
}

test('a host that has a disk in use, and does not answer: the merge is put off, which is said, and no guest waits', async () => {
  const take = mark(SECOND, 'host_OpaqueRef:elsewhere');
  const { code, stdout } = await gc();
  expect([code, stdout]).toEqual([1, expect.stringMatching(/in use: for a moment guests wait, on .*\n[^]*not done: /)]);
  await allRead();
  expect((await tree()).find(INNER)).toBeDefined();
  for (const row of records())
    for (const key of ['paused', 'relinking']) expect(mapOf(row, 'sm_config')).not.toHaveProperty(key);
  take();
  expect((await gc()).code).toBe(0);
  await isMerged();
});

test('a disk that is about to come into use is waited for, and so is a key that a host has left, for a while', async () => {
  const take = mark(SECOND, 'activating');
  const going = gc();
  await until(async () => listJournals(await pool.sr.report()).some(({ type }) => type === 'relink'));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect((await tree()).children(INNER)).toHaveLength(2);
  expect((await going).code).toBe(0);
  take();
  await isMerged();
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 100));
}

test.each(['coalesce.copied', 'relink.header-written', 'relink.recorded', 'collect.metadata'])(
  'killed at %s: a scan makes the disks usable, other disks can be changed, and the next goes on',
  async (point) => {
    expect(await gc([], 0, { RBDSR_FAULT: point })).toMatchObject({ signal: 'SIGKILL' });
    await allRead();
    await srScan(pool.double, pool.srRef);
    for (const row of records()) expect(mapOf(row, 'sm_config')).not.toHaveProperty('relinking');
    const other = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 2 * MiB, nameLabel: 'other' });
    await vdiDestroy(pool.double, other.ref);
    expect((await gc()).code).toBe(0);
    await isMerged();
  },
);

test('a disk that was relinked before a crash, and may have the node open, has to let it go first', async () => {
  await gc([], 0, { RBDSR_FAULT: 'relink.header-written' });
  const relinked = (await tree()).children(BASE).find(({ hidden }) => !hidden);
  const take = mark(relinked?.uuid ?? INNER, 'host_OpaqueRef:elsewhere');
  expect(await gc()).toMatchObject({ code: 1, stdout: expect.stringContaining('not done: ') });
  expect((await tree()).children(INNER)).toHaveLength(1);
  take();
  expect((await gc()).code).toBe(0);
  await isMerged();
});

test.each(['coalesce.noted', 'relink.names-written'])(
  'what was begun at %s is not gone on with while a collector lives on another host',
  async (point) => {
    await gc([], 0, { RBDSR_FAULT: point });
    const path = `${pool.root(1)}/var/run/rbdsr/gc/${srUuid()}.lock`;
    mkdirSync(dirname(path), { recursive: true });
    {
      await using _lock = await takeRecordLock(path, { wait: false, deadline: Deadline.after(1000) });
      expect(await gc()).toMatchObject({ code: 1, stdout: expect.stringContaining('may still write into what') });
      expect((await tree()).find(INNER)).toBeDefined();
    }
    expect((await gc()).code).toBe(0);
    await isMerged();
  },
);

test('nor is a merge begun that another one may still write into, although no journal says so', async () => {
  const path = `${pool.root(1)}/var/run/rbdsr/late/${srUuid()}.lock`;
  mkdirSync(dirname(path), { recursive: true });
  {
    await using _lock = await takeRecordLock(path, { wait: false, deadline: Deadline.after(1000) });
    expect(await gc()).toMatchObject({ code: 1, stdout: expect.stringContaining('may still write into what') });
    expect(listJournals(await pool.sr.report())).toEqual([]);
  }
  expect((await gc()).code).toBe(0);
  await isMerged();
});

test('nor is a node deleted that a collector on another host may write into', async () => {
  await gc([], 0, { RBDSR_FAULT: 'collect.metadata' });
  const path = `${pool.root(1)}/var/run/rbdsr/gc/${srUuid()}.lock`;
  mkdirSync(dirname(path), { recursive: true });
  {
    await using _lock = await takeRecordLock(path, { wait: false, deadline: Deadline.after(1000) });
    expect(await gc()).toMatchObject({ code: 1, stdout: expect.stringContaining('not done: delete') });
    expect((await tree()).find(INNER)).toBeDefined();
  }
  expect((await gc()).code).toBe(0);
  await isMerged();
});

test('the SR is left alone on another host, beside another collector, and where its administrator says so', async () => {
  expect(await gc([], 1)).toMatchObject({ code: 1, stderr: expect.stringContaining('collected by the pool master') });
  const folder = `${pool.root(0)}/var/lock/sm/${srUuid()}`;
  mkdirSync(folder, { recursive: true });
  for (const name of ['gc_active', 'running']) {
    await using _lock = await takeRecordLock(`${folder}/${name}`, { wait: false, deadline: Deadline.after(1000) });
    expect(await gc()).toMatchObject({ code: 1, stderr: expect.stringContaining('is not collected') });
  }
  pool.double.db.get('SR', pool.srRef).fields['other_config'] = { gc: 'false' };
  expect(await gc()).toMatchObject({ code: 1, stderr: expect.stringContaining('gc=false in SR.other_config') });
  expect((await tree()).find(INNER)).toBeDefined();
});
