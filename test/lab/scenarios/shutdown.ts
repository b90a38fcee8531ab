import { expect, test } from 'vitest';
import { SYSTEM_STATE } from '../../../lab/hosts/start-script.ts';
import type { Pool } from '../../../lab/pool.ts';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiCreate } from '../../../lab/xapi-double/vdi-operations.ts';
import { withFrozenOsds } from './frozen-osds.ts';
import { mappingsOf } from './mappings.ts';
import { attach, type Lab, makeSr } from '../scenario.ts';
import { writeNoise } from './storage.ts';

const MiB = 1024 * 1024;
const HOST = 1;
/** The unit has 60 s for all images; the rest is for the start of a program. */
const UNIT_MS = 75_000;

/** What the release unit does on a host that shuts down; systemd, which starts it, is in test/host/installer. */
export function shutdown(lab: Lab): void {
  const releaseImages = async (pool: Pool): Promise<{ code: number; stdout: string }> => {
    await pool.host(HOST).shell(`echo stopping >${SYSTEM_STATE}`);
    return pool.host(HOST).exec(['rbdsr', 'release-images'], { timeoutMs: UNIT_MS });
  };

  test('with a cluster that answers, an image with an active volume is unmapped', async () => {
    const pool = lab();
    const sr = await makeSr(pool, 'shut-1');
    await attach(pool, HOST, await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB }));
    // By then systemd has ended every process of a disk.
    await pool.host(HOST).shell("pkill -KILL '^rbdsr nbd'; udevadm settle");
    expect(await releaseImages(pool)).toMatchObject({ code: 0, stdout: expect.stringContaining('unmapped') });
    expect(await mappingsOf(pool, HOST)).toEqual([]);
  });

  test('with one that does not, idle images are unmapped, others are left in time, and the host goes off', async () => {
    const pool = lab();
    const host = pool.host(HOST);
    await makeSr(pool, 'idle');
    const sr = await makeSr(pool, 'busy');
    const vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB });
    await writeNoise(pool, await attach(pool, HOST, vdi), 8, HOST);
    await withFrozenOsds(pool, async () => {
      // Somebody reads, and gets no answer.
      const reads = `dd if=/dev/VG_XenStorage-${sr.uuid}/VHD-${stringOf(vdi, 'uuid')} of=/dev/null iflag=direct`;
      await host.shell(`(${reads} </dev/null >/dev/null 2>&1 &); pkill -KILL '^rbdsr nbd'; sleep 1`);
      const { code, stdout } = await releaseImages(pool);
      expect(stdout).toMatch(/\(rbd\/idle\): unmapped\n/);
      expect(stdout).toMatch(/\(rbd\/busy\): left: waited .* until the cluster has answered/);
      expect(code).toBe(1);
      expect((await mappingsOf(pool, HOST)).map(({ name }) => name)).toEqual(['rbd//busy@-']);
      await host.powerOff();
      expect(host.isOn).toBe(false);
    });
  });
}
