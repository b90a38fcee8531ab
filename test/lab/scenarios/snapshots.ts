import { beforeAll, expect, test } from 'vitest';
import { DiskUser } from '../../../lab/blkback-double/disk-user.ts';
import { RecordWriter } from '../../../lab/blkback-double/record-writer.ts';
import { ALL_THERE, verifyRecords } from '../../../lab/blkback-double/verify-records.ts';
import { onMachine } from '../../../lab/hosts/start-script.ts';
import { mapOf, type Row } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy, vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import { killedAt } from '../../support/killed-at.ts';
import { attach, detach, type Lab, makeSr } from '../scenario.ts';
import { leftOn } from './storage.ts';

const MiB = 1024 * 1024;
const ROUNDS = 8;
const SLOTS = 1024;

/** Snapshots of a disk that a guest of another host than the master writes to all the time. */
export function snapshots(lab: Lab): void {
  let sr: { readonly ref: string; readonly uuid: string };
  let user: DiskUser;
  let master: DiskUser;
  beforeAll(async () => {
    sr = await makeSr(lab(), 'snapshots', 640);
    user = await DiskUser.on(lab().host(1), onMachine);
    master = await DiskUser.on(lab().host(0), onMachine);
  });

  const create = (): Promise<Row> => vdiCreate(lab().double, { sr: sr.ref, virtualSize: 8 * MiB });

  test('a guest writes through a storm of them, and each is of one moment', async () => {
    const pool = lab();
    const disk = await create();
    const writer = await RecordWriter.start(user, await attach(pool, 1, disk), { slots: SLOTS, depth: 8 });
    let first: Row | undefined;
    let flushed = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await writer.hasFlushed((await writer.progress()).flushed + 64);
      const snapshot = await vdiSnapshot(pool.double, disk.ref);
      expect((await writer.progress()).failures).toEqual([]);
      if (first !== undefined) await vdiDestroy(pool.double, snapshot.ref);
      else [first, flushed] = [snapshot, before.flushed];
    }
    await writer.hasFlushed((await writer.progress()).flushed + 64);
    await writer.stop();
    await detach(pool, 1, disk);
    expect(await leftOn(pool, 1)).toMatch(/^mapping \d+\n$/);

    expect(await verifyRecords(master, await attach(pool, 0, disk), writer.written)).toMatchObject(ALL_THERE);
    await detach(pool, 0, disk);
    if (first === undefined) throw new Error('no snapshot was taken');
    const then = { ...writer.written, flushed, sent: undefined };
    expect(await verifyRecords(master, await attach(pool, 0, first, false), then)).toMatchObject(ALL_THERE);
    await detach(pool, 0, first);
    await vdiDestroy(pool.double, first.ref);
    await vdiDestroy(pool.double, disk.ref);
  });

  test.each(['vdi-snapshot.after-pause', 'vdi-create.after-vhd', 'vdi-snapshot.after-journal-removed'])(
    'a master that is killed at %s: the guest elsewhere goes on after the next scan',
    async (point) => {
      const pool = lab();
      const disk = await create();
      const writer = await RecordWriter.start(user, await attach(pool, 1, disk), { slots: SLOTS, depth: 8 });
      await writer.hasFlushed(64);
      const call = (): Promise<unknown> => vdiSnapshot(pool.double, disk.ref);
      await killedAt(pool.double, (environment, work) => pool.withDriverEnvironment(environment, work), point, call);
      expect(Object.keys(mapOf(disk, 'sm_config'))).toContain('paused');
      await srScan(pool.double, sr.ref);
      expect(Object.keys(mapOf(disk, 'sm_config'))).not.toContain('paused');
      const { failures } = await writer.hasFlushed((await writer.progress()).flushed + 64);
      expect(failures).toEqual([]);
      await writer.stop();
      await detach(pool, 1, disk);
      expect(await leftOn(pool, 1)).toMatch(/^mapping \d+\n$/);
      expect(await verifyRecords(user, await attach(pool, 1, disk), writer.written)).toMatchObject(ALL_THERE);
      await detach(pool, 1, disk);
      await vdiDestroy(pool.double, disk.ref);
    },
  );
}
