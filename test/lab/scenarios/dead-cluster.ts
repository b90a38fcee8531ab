import { beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srProbe, srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import {
  diskNames,
  failsInTime,
  haIsNotHeldUp,
  makeOtherVg,
  noLauncherIsLeft,
  otherWorkGoesOn,
  removeOtherVg,
  waitsFor,
  withDeadline,
  withFrozenOsds,
} from './frozen-osds.ts';
import { mappingsOf, pbdOf } from './mappings.ts';
import { attach, configOf, detach, type Lab, makeSr } from '../scenario.ts';
import { readNoise, volumesOf, writeNoise } from './storage.ts';

const MiB = 1024 * 1024;
const CONTENT_MIB = 16;
/** A process that looks at a new device keeps it from being unmapped for a moment, which emulation makes long. */
const SOON = { timeout: 120_000, interval: 1000 };
/** Each test waits for a deadline or two, then looks at everything. */
const LONG = { timeout: 600_000 };
/** What an answer has to say: for what, and for how long. */
const WAITED = /waited [\d.]+ s for (?:lvm|LVM|the kernel|the cluster)/;

/**
 * A cluster whose OSDs stop answering, on the kernel's real client: xapi gets its answer by the deadline, nothing else
 * on the host waits, and after the thaw the SR works and holds what it held.
 */
export function deadCluster(lab: Lab): void {
  let sr: { ref: string; uuid: string };
  let other: { ref: string; uuid: string };
  let kept: Row;
  let content: string;

  beforeAll(async () => {
    const pool = lab();
    sr = await makeSr(pool, 'dead-1');
    other = await makeSr(pool, 'dead-2');
    await pool.cluster.createImage('rbd/dead-3', { sizeMiB: 64 });
    kept = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: CONTENT_MIB * MiB, nameLabel: 'kept' });
    content = await writeNoise(pool, await attach(pool, 0, kept), CONTENT_MIB);
    await detach(pool, 0, kept);
  });

  /** The SR works and holds what it held; at most the disk of that name is there too, and then it is whole. */
  async function isWhole(perhaps = ''): Promise<void> {
    const pool = lab();
    await srScan(pool.double, sr.ref);
    const names = diskNames(pool, sr.ref);
    expect(names).toEqual(names.includes(perhaps) ? ['kept', perhaps].sort() : ['kept']);
    expect(await readNoise(pool, await attach(pool, 0, kept, false), CONTENT_MIB)).toBe(content);
    await detach(pool, 0, kept);
    await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB, nameLabel: 'after the thaw' });
    // No volume but the disks': what was cut short is gone.
    const uuids = pool.double.db.where('VDI', 'SR', sr.ref).map((vdi) => `VHD-${stringOf(vdi, 'uuid')}`);
    expect([...(await volumesOf(pool, sr)).keys()].sort()).toEqual(['MGT', ...uuids].sort());
    for (const vdi of pool.double.db.where('VDI', 'SR', sr.ref)) {
      if (vdi.ref !== kept.ref) await vdiDestroy(pool.double, vdi.ref);
    }
  }

  test('frozen before a command: it answers by the deadline, and says what it waited for', LONG, async () => {
    const pool = lab();
    const { double } = pool;
    const deviceConfig = await configOf(pool, 'dead-3');
    await pbdUnplug(double, pbdOf(pool, other.ref, 1));
    await makeOtherVg(pool);
    await withFrozenOsds(pool, async () => {
      const [errors] = await Promise.all([
        Promise.all([
          failsInTime(srScan(double, sr.ref)),
          failsInTime(vdiCreate(double, { sr: other.ref, virtualSize: 8 * MiB })),
          failsInTime(pbdPlug(double, pbdOf(pool, other.ref, 1))),
          failsInTime(srProbe(double, { type: 'rbd', deviceConfig })),
        ]),
        otherWorkGoesOn(pool),
      ]);
      for (const error of errors) expect(error).toMatch(WAITED);
      await noLauncherIsLeft(pool);
      await haIsNotHeldUp(pool, [sr.uuid, other.uuid]);
      const busy = await failsInTime(srScan(double, sr.ref));
      expect(busy).toMatch(/has had no answer yet.*pid \d+ \(rbdsr sm sr_scan\) since \d{4}-/);
      await haIsNotHeldUp(pool, [sr.uuid, other.uuid]);
      await noLauncherIsLeft(pool);
    });
    await removeOtherVg(pool);
    // What the kernel mapped after the answer is nobody's, and is not mapped any more.
    const mapped = async (host: number): Promise<string[]> =>
      (await mappingsOf(pool, host)).map(({ name }) => name).sort();
    await expect.poll(() => mapped(0), SOON).toEqual(['rbd//dead-1@-', 'rbd//dead-2@-']);
    await expect.poll(() => mapped(1), SOON).toEqual(['rbd//dead-1@-']);
    await isWhole();
    await pbdPlug(double, pbdOf(pool, other.ref, 1));
  });

  test('frozen while vdi_create writes: the late write leaves no disk or a whole one', LONG, async () => {
    const pool = lab();
    await withDeadline(pool, async () => {
      const call = failsInTime(vdiCreate(pool.double, { sr: sr.ref, virtualSize: 16 * MiB, nameLabel: 'cut' }));
      await waitsFor(pool, 'LVM to make');
      await pool.cluster.freezeOsds();
      expect(await call).toMatch(WAITED);
      await noLauncherIsLeft(pool);
    });
    await isWhole('cut');
  });

  test('frozen while sr_attach reads: the SR is plugged afterwards', LONG, async () => {
    const pool = lab();
    const pbd = pbdOf(pool, sr.ref);
    await pbdUnplug(pool.double, pbd);
    await withDeadline(pool, async () => {
      const call = failsInTime(pbdPlug(pool.double, pbd));
      await waitsFor(pool, 'LVM to read');
      await pool.cluster.freezeOsds();
      expect(await call).toMatch(WAITED);
      await noLauncherIsLeft(pool);
    });
    await pbdPlug(pool.double, pbd);
    expect((await mappingsOf(pool)).filter(({ name }) => name === 'rbd//dead-1@-')).toHaveLength(1);
    await isWhole();
  });

  test('frozen before an unplug: it fails and the SR stays plugged; afterwards it is unplugged', LONG, async () => {
    const pool = lab();
    const pbd = pbdOf(pool, sr.ref);
    await withFrozenOsds(pool, async () => {
      expect(await failsInTime(pbdUnplug(pool.double, pbd))).toMatch(WAITED);
      await noLauncherIsLeft(pool);
    });
    await srScan(pool.double, sr.ref);
    await pbdUnplug(pool.double, pbd);
    await pbdPlug(pool.double, pbd);
    await isWhole();
  });
}
