import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { attachFromConfig, detachFromConfig } from '../../../lab/xapi-double/static-vdis.ts';
import { vdiGenerateConfig } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { lvmStandIn, type StandIn } from '../../support/lvm-stand-in.ts';
import { placeTapdisk } from '../../support/stand-ins/placed-tapdisk.ts';
import { VERSIONS } from '../lvm/lvm-versions.ts';
import { LV, VG } from '../lvm/transcript-script.ts';

/** A host that is not the master: whatever it asks of LVM, it asks as one who may only read. */
const SLAVE = 1;
const { sr: srUuid = '', file = '', vdis = {} } = vectorImages('plain')['plain-thick'] ?? {};

/** The SR that the stock driver left, mapped on two hosts and plugged on none. */
async function stockSr(): Promise<LoopPool> {
  using vectors = unpackVectors('plain', [file]);
  return await loopPool({
    sizeBytes: 512 * MiB,
    srUuid,
    plug: false,
    populate: async ({ lvm }) =>
      execFileSync('dd', [`if=${join(vectors.folder, file)}`, `of=${lvm.device}`, 'bs=1M', 'conv=sparse,fsync'], {
        stdio: 'pipe',
      }),
  });
}

/**
 * What tap-ctl's stand-in opens lies below the host's folder: a copy of the volume, as there is no device-mapper to
 * show it.
 */
async function placeVolume({ sr }: LoopPool, root: string): Promise<void> {
  const io = await sr.openLv(LV, 'read');
  mkdirSync(`${root}/dev/${VG}`, { recursive: true });
  writeFileSync(`${root}/dev/${VG}/${LV}`, await io.read(0, io.size));
}

/** `unshare` and what mounts the stand-in over the machine's own programs; the program follows. */
function amongStandIns(standIn: StandIn): readonly string[] {
  const mounts = standIn.mounts.map((command) => command.map((word) => `'${word}'`).join(' '));
  return ['unshare', '-m', 'sh', '-c', [...mounts, 'exec "$@"'].join(' && '), 'sh'];
}

test.each(VERSIONS)('with LVM $version a slave plugs, HA attaches, and the operator’s command reads', async (row) => {
  await using pool = await stockSr();
  const { double, srRef } = pool;
  const root = pool.root(SLAVE);
  const host = double.hosts[SLAVE]?.ref ?? '';
  const own = mkdtempSync(join(tmpdir(), 'rbdsr-lvm-'));
  using _tapdisk = placeTapdisk(root);
  await placeVolume(pool, root);
  onTestFinished(() => rmSync(own, { recursive: true, force: true }));
  // The product knows the device by the link that stands for the mapped image's node.
  const disks = Object.fromEntries([0, SLAVE].map((index) => [`${pool.root(index)}/dev/rbd0`, 'sr']));
  const standIn = lvmStandIn(own, { version: row.version, disks, vg: VG });
  const prefix = amongStandIns(standIn);
  const leaf = double.db.create('VDI', {
    uuid: vdis['a'] ?? '',
    location: vdis['a'] ?? '',
    SR: srRef,
    managed: true,
    sm_config: { vdi_type: 'vhd' },
  });

  await pool.startedBy(prefix, async () => {
    await pbdPlug(double, pbdOn(double, srRef, host).ref);
    expect(standIn.calls()).toEqual([expect.stringMatching(/^slave pvs .* \S+\/dev\/rbd0$/)]);

    const config = await vdiGenerateConfig(double, host, leaf.ref);
    const info = await attachFromConfig(double, host, 'rbd', config);
    expect(info).toMatchObject({ params: expect.stringContaining(vdis['a'] ?? '') });
    expect(standIn.calls()).toContain(`slave lvchange -ay ${VG}/${LV}`);

    // On the master, as it asks for; it reads as one who may only read all the same.
    cpSync(join(root, 'var/run/rbdsr'), join(pool.root(0), 'var/run/rbdsr'), { recursive: true });
    const [starter = '', ...before] = prefix;
    const command = [process.execPath, join(pool.product, 'cli.cjs'), 'mgt', 'rebuild', srUuid, '--dry-run'];
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: pool.root(0) };
    const { stdout } = await promisify(execFile)(starter, [...before, ...command], { env });
    for (const uuid of Object.values(vdis)) expect(stdout).toContain(uuid);

    await detachFromConfig(double, host, 'rbd', config);
    expect(standIn.calls()).toContain(`slave lvchange -an ${VG}/${LV}`);
  });
  expect(standIn.calls().filter((call) => /^FAILED|^master (?!lvchange -a[yn] )/.test(call))).toEqual([]);
});
