import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { endCollector } from '../../../src/sr/end-collector.ts';
import { lockHolder, takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { collectorAtWork, isCollectionOrdered } from '../../../src/sr/work/collector-lock.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { DISK_BYTES, makeChain } from './chain-in-pool.ts';

// A command that leaves something to collect starts the collector, which goes on when the command is over, and ends.
// One history: what each test leaves, the next begins with.

const id = (n: number): VdiUuid => vdiUuid(`0000000${n}-1111-4222-8333-0123456789ab`);
const [BASE, FIRST_INNER, SECOND_INNER, FIRST, SECOND, THIRD] = [id(1), id(2), id(3), id(4), id(5), id(6)];

let pool: LoopPool;
let shown: ReadonlyMap<VdiUuid, Buffer>;
beforeAll(async () => {
  pool = await loopPool({
    sizeBytes: 256 * MiB,
    populate: async (sr) => {
      shown = await makeChain(sr, [
        { uuid: BASE, hidden: true, writes: [[0, 3 * MiB, 1]] },
        { uuid: FIRST_INNER, hidden: true, parent: BASE, writes: [[MiB, 4096, 2]] },
        { uuid: SECOND_INNER, hidden: true, parent: FIRST_INNER, writes: [[2 * MiB, 4096, 3]] },
        { uuid: FIRST, hidden: false, parent: FIRST_INNER, writes: [[3 * MiB, 512, 4]] },
        { uuid: SECOND, hidden: false, parent: SECOND_INNER, writes: [[4 * MiB, 512, 5]] },
        { uuid: THIRD, hidden: false, parent: SECOND_INNER, writes: [] },
      ]);
    },
  });
});
afterAll(() => pool[Symbol.asyncDispose]());

const sr = (): ReturnType<typeof srUuid> => srUuid(stringOf(pool.double.db.get('SR', pool.srRef), 'uuid'));
const paths = () => hostProfile('8.3b', { commandDeadlineSeconds: {} }, pool.root(0)).paths;
const scan = (): Promise<void> => srScan(pool.double, pool.srRef);
const tree = async (): Promise<VdiTree> => new VdiTree(await readVdiNodes(await pool.sr.report(), pool.sr.pvIo));
const journals = async (): Promise<string[]> => listJournals(await pool.sr.report()).map(({ type }) => type);
const recordOf = (uuid: VdiUuid): Row => pool.double.db.byUuid('VDI', uuid);
const smLog = (): string => readFileSync(`${pool.root(0)}/var/log/SMlog`, 'utf8');

function settings(text: string): void {
  writeFileSync(`${pool.root(0)}/etc/rbdsr/rbdsr.conf`, `profile = 8.3b\ndatapath = nbd\ndeadline = 60\n${text}`);
}

/** Until the collector that a command has started is over. */
async function collected(): Promise<void> {
  await expect
    .poll(() => isCollectionOrdered(paths(), sr()) || collectorAtWork(paths(), sr()) !== undefined, {
      timeout: 100_000,
      interval: 200,
    })
    .toBe(false);
}

async function allRead(): Promise<void> {
  const now = await tree();
  for (const { uuid } of now.nodes.filter(({ hidden }) => !hidden)) {
    const disk = await openVdi(now, uuid, pool.sr.openLv);
    expect([uuid, (await disk.read(0, DISK_BYTES)).equals(shown.get(uuid) ?? Buffer.alloc(0))]).toEqual([uuid, true]);
  }
  expect(listJournals(await pool.sr.report())).toEqual([]);
  expect(pool.double.offences).toEqual([]);
}

test('by hand only: a scan starts none', async () => {
  settings('collect = by-hand\n');
  await scan();
  expect(isCollectionOrdered(paths(), sr())).toBe(false);
  expect((await tree()).find(FIRST_INNER)).toBeDefined();
});

test('SR.other_config says gc=false: one that is started ends, and its log says why', async () => {
  settings('');
  const row = pool.double.db.get('SR', pool.srRef);
  row.fields['other_config'] = { gc: 'false' };
  await scan();
  await expect.poll(smLog, { timeout: 60_000 }).toContain('gc=false in SR.other_config');
  expect((await tree()).find(FIRST_INNER)).toBeDefined();
  row.fields['other_config'] = {};
});

test('the master changes while it waits for the lock: it does nothing, and says so', async () => {
  const [pools] = pool.double.db.where('pool', 'master', pool.double.master.ref);
  if (pools === undefined) throw new Error('no pool');
  let ended: Promise<unknown>;
  {
    await using _lock = await srLock();
    ended = byItself();
    await expect.poll(() => collectorAtWork(paths(), sr()), { timeout: 60_000 }).toBeDefined();
    await expect.poll(stockHolder, { timeout: 60_000 }).toBeDefined();
    pools.fields['master'] = pool.double.hosts[1]?.ref ?? '';
  }
  await ended;
  pools.fields['master'] = pool.double.hosts[0]?.ref ?? '';
  expect(smLog()).toContain('is not to be collected by this host any more');
  expect((await tree()).find(FIRST_INNER)).toBeDefined();
  expect(await journals()).toEqual([]);
});

test('a scan that has found something starts it, and where that one dies the next scan starts another', async () => {
  await pool.withEnvironment({ RBDSR_FAULT_GC: 'coalesce.copied' }, scan);
  await expect.poll(journals, { timeout: 100_000 }).toEqual(['coalesce']);
  await collected();
  expect(await journals()).toEqual(['coalesce']);
  await scan();
  await collected();
  expect((await tree()).find(FIRST_INNER)).toBeUndefined();
  expect(mapOf(recordOf(FIRST), 'sm_config')['vhd-parent']).toBe(BASE);
  expect(smLog()).toContain(`merge VHD-${FIRST_INNER} into VHD-${BASE}`);
  expect(smLog()).toMatch(/ \d of \d blocks/);
  await allRead();
});

test('a deletion starts it, and what another deletion orders meanwhile is done, too', async () => {
  // What the first leaves: the second inner node is all that hangs on the base.
  await vdiDestroy(pool.double, recordOf(FIRST).ref);
  await vdiDestroy(pool.double, recordOf(SECOND).ref);
  await collected();
  const now = await tree();
  // And the disk that is left alone on the base has become one volume with it.
  expect(now.nodes.map(({ uuid, parentUuid }) => [uuid, parentUuid])).toEqual([[THIRD, undefined]]);
  await allRead();
});

test('a command that lets the SR go ends its collector first, which waits for the lock that the command has', async () => {
  const work = { profile: { paths: paths() }, deadline: Deadline.after(60_000), waiting: () => {} };
  await using _lock = await srLock();
  const ended = byItself();
  await expect.poll(() => collectorAtWork(paths(), sr()), { timeout: 60_000 }).toBeDefined();
  // Stock's collectors see it, by a process that touches no device.
  await expect.poll(stockHolder, { timeout: 60_000 }).toBeDefined();
  expect(stockHolder()).not.toBe(collectorAtWork(paths(), sr())?.pid);
  await endCollector(work, sr());
  expect(collectorAtWork(paths(), sr())).toBeUndefined();
  await expect.poll(stockHolder, { timeout: 60_000 }).toBeUndefined();
  expect(existsSync(`${paths().smRunDir}/ipc/${sr()}/abort`)).toBe(false);
  await ended;
});

function srLock(): ReturnType<typeof takeRecordLock> {
  const path = `${pool.root(0)}/var/lock/sm/${sr()}/sr`;
  return takeRecordLock(path, { wait: true, deadline: Deadline.after(30_000) });
}

const stockHolder = (): number | undefined => lockHolder(`${pool.root(0)}/var/lock/sm/${sr()}/gc_active`)?.pid;

function byItself(): Promise<unknown> {
  const argv = [join(pool.product, 'cli.cjs'), 'gc', sr(), '--by-itself'];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: pool.root(0) };
  return promisify(execFile)(process.execPath, argv, { env });
}
