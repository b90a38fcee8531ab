import { beforeAll, expect, test } from 'vitest';
import { lastOsdSpared, unserved } from '../../../lab/faults/cluster-faults.ts';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srCreate, srForget, srScan, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy, vdiDetach } from '../../../lab/xapi-double/vdi-operations.ts';
import { failsInTime, withDeadline } from './frozen-osds.ts';
import { mapByHand, pbdOf, unmapByHand } from './mappings.ts';
import { attach, configOf, detach, type Lab } from '../scenario.ts';
import { readNoise, type SrId, writeNoise } from './storage.ts';

const MiB = 1024 * 1024;
const OBJECT = 4 * MiB;
/** So many groups that one of the first few disks has its header in one without any other object of the image. */
const GROUPS = 128;
const IMAGE_MIB = 128;
const LONG = { timeout: 300_000 };

/**
 * One placement group is served by nobody, and in it lies the header of one disk: that disk cannot be used, and
 * everything else of the SR can.
 */
export function silentHeader(lab: Lab): void {
  let sr: SrId & { readonly ref: string };
  let kept: Row;
  let content: string;
  let silent: Row;
  let group: string;

  beforeAll(async () => {
    const pool = lab();
    const { cluster, double } = pool;
    await pool.faults.begin(lastOsdSpared(cluster));
    await cluster.createPool('groups', { pgs: GROUPS });
    await cluster.createImage('groups/silent', { sizeMiB: IMAGE_MIB });
    // Every object is there, so that those of one group can be listed.
    const device = await mapByHand(pool, { pool: 'groups', image: 'silent' });
    await pool.host(0).shell(`dd if=/dev/zero of=${device} bs=4M count=${IMAGE_MIB / 4} oflag=direct 2>/dev/null`);
    await unmapByHand(pool, device);
    const user = await cluster.createUser('groups', ['groups']);
    const deviceConfig = {
      ...(await configOf(pool, 'silent')),
      pool: 'groups',
      user: user.name,
      password: user.key,
    };
    const created = await srCreate(double, { type: 'rbd', deviceConfig, nameLabel: 'silent' });
    expect(created.plugErrors).toEqual([]);
    sr = { ref: created.sr.ref, uuid: stringOf(created.sr, 'uuid') };
    kept = await vdiCreate(double, { sr: sr.ref, virtualSize: 8 * MiB, nameLabel: 'kept' });
    content = await writeNoise(pool, await attach(pool, 0, kept), 5);
    await detach(pool, 0, kept);
    ({ silent, group } = await diskAloneInGroup());
  });

  /** A disk whose header is the only object in its placement group. */
  async function diskAloneInGroup(): Promise<{ readonly silent: Row; readonly group: string }> {
    for (;;) {
      const disk = await vdiCreate(lab().double, { sr: sr.ref, virtualSize: 2 * MiB, nameLabel: 'silent' });
      const object = await headerObject(disk);
      const at = JSON.parse(await lab().cluster.tool('ceph', 'osd', 'map', 'groups', object, '--format', 'json'));
      const { pgid } = at as { pgid: string };
      const others = await lab().cluster.tool('rados', '--pgid', pgid, 'ls');
      if (others.trim() === object) return { silent: disk, group: pgid };
    }
  }

  async function headerObject(disk: Row): Promise<string> {
    const { block_name_prefix: prefix } = JSON.parse(
      await lab().cluster.tool('rbd', 'info', '--format', 'json', 'groups/silent'),
    ) as { block_name_prefix: string };
    const config = `--config 'devices{types=["rbd",16] filter=["a|^/dev/rbd|","r|.*|"]}'`;
    const more = '--units b --nosuffix --noheadings';
    const shown = await lab()
      .host(0)
      .shell(`
pvs ${config} ${more} -o pe_start -S vg_name=VG_XenStorage-${sr.uuid}
lvs ${config} ${more} -o vg_extent_size,seg_pe_ranges VG_XenStorage-${sr.uuid}/${lvOf(disk)}`);
    const [, start = '', extent = '', first = ''] = /(\d+)\s+(\d+)\s+\S+:(\d+)-/.exec(shown) ?? [];
    const number = (Number(start) + Number(extent) * Number(first)) / OBJECT;
    return `${prefix}.${Math.floor(number).toString(16).padStart(16, '0')}`;
  }

  const lvOf = (disk: Row): string => `VHD-${stringOf(disk, 'uuid')}`;

  async function keptIsUsable(host: number): Promise<void> {
    expect(await readNoise(lab(), await attach(lab(), host, kept), 5, host)).toBe(content);
    await detach(lab(), host, kept);
  }

  test(
    'the SR is plugged, its other disks are used and made, and each call that needs the header ends in time and names it',
    LONG,
    async () => {
      const pool = lab();
      const { double } = pool;
      const names = new RegExp(`waited [\\d.]+ s for the header of ${lvOf(silent)} on /dev/rbd\\d`);
      await withDeadline(pool, async () => {
        await pbdUnplug(double, pbdOf(pool, sr.ref));
        const fault = await pool.faults.begin(unserved(pool.cluster, group));
        // The first to read it: the SR is plugged all the same, and the administrator hears of the disk.
        await pbdPlug(double, pbdOf(pool, sr.ref));
        const [message] = double.db.where('message', 'obj_uuid', sr.uuid);
        expect(message?.fields['name']).toBe('POST_ATTACH_SCAN_FAILED');
        expect(message?.fields['body']).toMatch(names);
        for (const host of [0, 1]) await keptIsUsable(host);
        // Beside the one that is stuck in it nobody else gets stuck.
        expect(await failsInTime(srScan(double, sr.ref))).toMatch(/has had no answer yet.*\(rbdsr sm sr_att/s);
        expect(await failsInTime(vdiDestroy(double, kept.ref))).toMatch(/has had no answer yet/);

        expect(await failsInTime(attach(pool, 0, silent))).toContain(stringOf(silent, 'uuid'));
        for (const host of [0, 1]) await keptIsUsable(host);
        const made = await vdiCreate(double, { sr: sr.ref, virtualSize: 2 * MiB, nameLabel: 'made meanwhile' });
        await detach(pool, 0, await attached(0, made));
        await pool.faults.end(fault);
      });
      await vdiDetach(double, pool.hostRef(0), silent.ref);
      await srScan(double, sr.ref);
      for (const disk of [kept, silent]) {
        await attach(pool, 1, disk);
        await detach(pool, 1, disk);
      }
      expect(double.offences).toEqual([]);
    },
  );

  test('a scan that is the first to read it names it, while others use their disks', LONG, async () => {
    const pool = lab();
    await withDeadline(pool, async () => {
      const fault = await pool.faults.begin(unserved(pool.cluster, group));
      const scan = failsInTime(srScan(pool.double, sr.ref));
      await Promise.all([keptIsUsable(0), scan]);
      expect(await scan).toContain(`for the header of ${lvOf(silent)} on /dev/rbd`);
      await keptIsUsable(0);
      await pool.faults.end(fault);
    });
    await srScan(pool.double, sr.ref);
    for (const disk of pool.double.db.where('VDI', 'SR', sr.ref)) await vdiDestroy(pool.double, disk.ref);
    await unplugAll(pool.double, sr.ref);
    await srForget(pool.double, sr.ref);
  });

  async function attached(host: number, disk: Row): Promise<Row> {
    await attach(lab(), host, disk);
    return disk;
  }
}
