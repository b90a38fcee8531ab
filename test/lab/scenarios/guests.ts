import { beforeAll, expect, test } from 'vitest';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { messageOf } from '../../../src/base/error.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srCreate, srForget, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { explained, pbdOf } from './mappings.ts';
import { knowStockDriver } from './monitor-login.ts';
import { attach, detach, inGuest, type Lab, makeSr } from '../scenario.ts';
import { onVolume, programsThatNoHostHas, type SrId } from './storage.ts';

const MiB = 1024 * 1024;
/** Under emulation a call takes as long as its LVM commands, several seconds. */
const SLOW = { timeout: 1_200_000 };

/**
 * What only Xen can show (lab/hosts/needs.ts): the disks of an SR that a usual host has made, in PV guests of two Xen
 * hosts, by way of blkback.
 */
export function guests(lab: Lab): void {
  let sr: SrId & { readonly ref: string };
  let vdi: Row;
  const [one, two] = [1, 2];
  const lvOf = (disk: Row): string => `VHD-${stringOf(disk, 'uuid')}`;

  beforeAll(async () => {
    sr = await makeSr(lab(), 'guests', 256);
    vdi = await vdiCreate(lab().double, { sr: sr.ref, virtualSize: 64 * MiB });
  });

  test('each host is dom0 of a Xen of its own and sees no ceph tools and no Node', async () => {
    for (const host of [one, two].map((index) => lab().host(index))) {
      expect(host.has('a Xen host')).toBe(true);
      expect((await host.check(['cat', '/proc/xen/capabilities'])).trim()).toBe('control_d');
      expect((await host.check(['hostname'])).trim()).toBe(host.name);
      expect(await programsThatNoHostHas(host)).toBe('');
    }
  });

  test('rbdsr mappings explains what is mapped, with debugfs there', SLOW, async () => {
    const host = lab().host(one);
    expect(host.has('debugfs')).toBe(true);
    expect(await host.shell('ls /sys/kernel/debug/ceph')).toContain(lab().cluster.fsid);
    expect(await explained(lab(), one)).toMatchObject({ code: 0, text: expect.stringContaining('rbd/guests') });
  });

  test(
    'without SSH every monitor that the kernel tells of in debugfs is kept, and then the typed one may die',
    SLOW,
    async () => {
      const pool = lab();
      const { cluster, double } = pool;
      knowStockDriver(pool);
      await cluster.createImage('rbd/typed', { sizeMiB: 64 });
      const { key } = await cluster.createUser('typed', ['rbd']);
      const [target = ''] = (cluster.monitors[0] ?? '').split(':');
      const login = { target, port: '6789', chapuser: 'client.typed', chappassword: key };
      const deviceConfig = { ...login, targetIQN: 'rbd', SCSIid: 'typed' };
      // The host that makes an SR learns of the monitors.
      const created = await srCreate(double, { type: 'lvmoiscsi', deviceConfig, host: pool.hostRef(one) });
      expect(created.plugErrors).toEqual([]);
      expect(cluster.monitors).toHaveLength(3);
      expect(mapOf(created.sr, 'sm_config')['rbd_monitors']?.split(',').sort()).toEqual([...cluster.monitors].sort());
      await unplugAll(double, created.sr.ref);
      await cluster.stopMonitor(0);
      try {
        await pbdPlug(double, pbdOf(pool, created.sr.ref, 0));
      } finally {
        await cluster.startMonitor(0);
      }
      await unplugAll(double, created.sr.ref);
      await srForget(double, created.sr.ref);
    },
  );

  test(
    'the server of a disk is killed while a guest writes: every flushed write is there for a guest of the other host, and the VHD is sound',
    SLOW,
    async () => {
      const pool = lab();
      const device = await attach(pool, one, vdi);
      const guest = await pool.host(one).startGuest({ device, writable: true, script: WRITES_RECORDS });
      await until(async () => (await flushedBy(guest)) >= 25, 'the guest to have flushed 25 records');
      await pool.host(one).shell("pkill -KILL '^rbdsr nbd'");
      const { output } = await guest.finished();
      await guest.destroy();
      expect(output).toContain('stopped');
      const flushed = lastFlushed(output);

      const check = [DRIVER, 'vhd', 'check', '--in-use', `/dev/VG_XenStorage-${sr.uuid}/${lvOf(vdi)}`];
      expect(await pool.host(one).check(check)).toMatch(/sound/);
      // Killed between a flush and the next write, it had nothing in hand; else the call says so, once, and again
      // releases the disk.
      const told = await detach(pool, one, vdi).catch((error: unknown) => messageOf(error));
      if (told !== undefined) {
        expect(told).toMatch(/data may be lost/);
        await detach(pool, one, vdi);
      }
      const elsewhere = await attach(pool, two, vdi);
      expect(await inGuest(pool, two, elsewhere, readsRecords(flushed))).toBe(`all ${flushed} records are there`);
      await detach(pool, two, vdi);
      expect(await onVolume(pool, sr, lvOf(vdi), `${DRIVER} vhd check "$1"`)).toMatch(/sound/);
      await vdiDestroy(pool.double, vdi.ref);
      expect(pool.double.offences).toEqual([]);
    },
  );
}

/** 4 KiB records in an order that jumps between the blocks of a VHD of 64 MiB. */
const PLACE = '$(( (n * 7919) % 16384 ))';

/**
 * A flush that fails is a success to whoever asked for it, and the disk's write cache is off from then on (linux
 * `drivers/block/xen-blkfront.c`, blkif_interrupt: an empty flush with BLKIF_RSP_ERROR). So a record counts as flushed
 * where the cache is still on after it.
 */
const WRITES_RECORDS = `
n=0
while :; do
  n=$((n + 1))
  echo "record $n" | dd of=/dev/xvda bs=4096 seek=${PLACE} conv=sync,fsync,notrunc 2>/dev/null || break
  [ "$(cat /sys/block/xvda/queue/write_cache)" = "write back" ] || break
  echo "flushed $n"
done
echo stopped`;

function readsRecords(count: number): string {
  return `
n=0
while [ $n -lt ${count} ]; do
  n=$((n + 1))
  [ "$(dd if=/dev/xvda bs=4096 skip=${PLACE} count=1 2>/dev/null | head -n 1)" = "record $n" ] || { echo "record $n is lost"; exit 1; }
done
echo "all $n records are there"`;
}

async function flushedBy(guest: { console(): Promise<string> }): Promise<number> {
  return lastFlushed((await guest.console()).replaceAll('\r', ''));
}

function lastFlushed(text: string): number {
  return Math.max(0, ...[...text.matchAll(/^flushed (\d+)$/gm)].map(([, n]) => Number(n)));
}

async function until(condition: () => Promise<boolean>, what: string, timeoutMs = 600_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
