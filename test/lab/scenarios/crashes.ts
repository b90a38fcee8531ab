import { beforeAll, expect, test } from 'vitest';
import type { Pool } from '../../../lab/pool.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import {
  srCreate,
  srDestroy,
  srForget,
  srIntroduce,
  srProbe,
  srScan,
  unplugAll,
} from '../../../lab/xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { killedAt as killed } from '../../support/killed-at.ts';
import { attach, configOf, detach, type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import { leftOn, metadataOf, soundContent, type SrId, volumesOf, writeNoise } from './storage.ts';

const MiB = 1024 * 1024;
type Sr = SrId & { readonly ref: string };

/**
 * The driver is killed at every point where a crash leaves something (docs/recovery.md) that takes a real mapping,
 * active volumes or a server of a disk; then what that page says mends it is done, and the SR is as if nothing had
 * happened: records, volumes and metadata agree, a disk with known content still has it. The other points:
 * test/host/sm/killed-calls.test.ts.
 */
export function crashes(lab: Lab): void {
  let sr: Sr;
  let kept: Row;
  let written: string;

  beforeAll(async () => {
    const pool = lab();
    sr = await makeSr(pool, 'crashes', 512);
    kept = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB, nameLabel: 'kept' });
    written = await writeNoise(pool, await attach(pool, 0, kept), 5);
    await detach(pool, 0, kept);
  });

  const killedAt = (point: string, call: () => Promise<unknown>): Promise<void> =>
    killed(lab().double, (environment, work) => lab().withDriverEnvironment(environment, work), point, call);

  /** Records, volumes and metadata name the same disks; nothing else is there and nothing is active. */
  async function allAgree(): Promise<void> {
    const pool = lab();
    const records = pool.double.db.where('VDI', 'SR', sr.ref);
    const uuids = records.map((row) => stringOf(row, 'uuid'));
    const volumes = await volumesOf(pool, sr);
    const disks = records.map(
      (row) => `${mapOf(row, 'sm_config')['vdi_type'] === 'aio' ? 'LV' : 'VHD'}-${stringOf(row, 'uuid')}`,
    );
    expect([...volumes.keys()].toSorted()).toEqual(['MGT', ...disks].toSorted());
    expect([...volumes].filter(([, { active }]) => active).map(([name]) => name)).toEqual(['MGT']);
    for (const row of records) {
      const name = disks[records.indexOf(row)] ?? '';
      expect(row.fields['physical_utilisation']).toBe((volumes.get(name)?.sizeMiB ?? 0) * MiB);
      expect(Object.keys(mapOf(row, 'sm_config')).filter((key) => /^host_|^activating$/.test(key))).toEqual([]);
    }
    const { vdis, problems } = await metadataOf(pool, sr);
    expect(problems).toEqual([]);
    // A disk that a scan has found has no record there: `rbdsr mgt rebuild` makes one.
    expect(uuids).toEqual(expect.arrayContaining(vdis.map(({ uuid }) => uuid)));
    expect(await leftOn(pool, 0)).toMatch(/^mapping \d+\nvolume \S+-MGT\n$/);
    expect(await leftOn(pool, 1)).toMatch(/^mapping \d+\n$/);
    expect(pool.double.offences).toEqual([]);
  }

  /** And the disk with known content is sound and has it. */
  async function allIsWell(): Promise<void> {
    await allAgree();
    expect(await soundContent(lab(), sr, kept, 5)).toBe(written.trimEnd());
  }

  // One SR from its birth to its death, each test from where the crash before it has left things.
  const young: { ref: string; uuid: string } = { ref: '', uuid: '' };
  const createYoung = async (): ReturnType<typeof srCreate> =>
    srCreate(lab().double, { type: 'rbd', deviceConfig: await configOf(lab(), 'young') });
  const youngPbd = (host: number): string => pbdOn(lab().double, young.ref, lab().hostRef(host)).ref;

  test('sr_create that fails after it made its volume group leaves a blank image and no mapping', async () => {
    const pool = lab();
    await pool.cluster.createImage('rbd/young', { sizeMiB: 128 });
    await pool.withDriverEnvironment({ RBDSR_FAULT: 'sr-create.after-vg!error' }, () =>
      expect(createYoung()).rejects.toThrow('FAILURE_203'),
    );
    expect((await leftOn(pool, 0)).match(/mapping/g)).toHaveLength(1);
    const probed = await srProbe(pool.double, { type: 'rbd', deviceConfig: await configOf(pool, 'young') });
    expect(probed).not.toContain('<UUID>');
  });

  test('a probe killed at ceph.map.after-add leaves the image mapped, read-only', async () => {
    const pool = lab();
    await killedAt('ceph.map.after-add', async () =>
      srProbe(pool.double, { type: 'rbd', deviceConfig: await configOf(pool, 'young') }),
    );
    expect((await leftOn(pool, 0)).match(/mapping/g)).toHaveLength(2);
    expect((await pool.hosts[0]?.shell('cat /sys/block/rbd*/ro'))?.trim().split('\n').toSorted()).toEqual(['0', '1']);
  });

  test('sr_create killed at ceph.map.after-add, then called again and killed at sr-create.after-vg', async () => {
    const pool = lab();
    await killedAt('ceph.map.after-add', createYoung);
    expect((await leftOn(pool, 0)).match(/mapping/g)).toHaveLength(2);
    expect(await pool.hosts[0]?.shell('cat /sys/block/rbd*/ro')).not.toContain('1');
    await killedAt('sr-create.after-vg', createYoung);
    expect((await leftOn(pool, 0)).match(/mapping/g)).toHaveLength(2);
  });

  test('a new SR there is refused and names the one that is begun, which is introduced', async () => {
    const pool = lab();
    const error = await failure(createYoung());
    const [, uuid = ''] = /xe sr-introduce uuid=(\S+) type=rbd/.exec(error.message) ?? [];
    const deviceConfig = await configOf(pool, 'young');
    Object.assign(young, { uuid, ref: srIntroduce(pool.double, { type: 'rbd', deviceConfig, uuid }).ref });
  });

  test.each(['sr-attach.after-mgt-lv', 'mgt.create.header-cleared', 'mgt.create.body-written'])(
    'its first sr_attach killed at %s',
    (point) => killedAt(point, () => pbdPlug(lab().double, youngPbd(0))),
  );

  test('the next sr_attach finds the mapping and makes the metadata volume whole', async () => {
    const pool = lab();
    for (const host of pool.hosts.keys()) await pbdPlug(pool.double, youngPbd(host));
    expect(await metadataOf(pool, young)).toMatchObject({ sr: { uuid: young.uuid, nameLabel: 'SR' }, problems: [] });
    expect([...(await volumesOf(pool, young)).keys()]).toEqual(['MGT']);
    await unplugAll(pool.double, young.ref);
  });

  test.each(['sr-delete.after-lvs', 'sr-delete.after-vg'])('sr_delete killed at %s', (point) =>
    killedAt(point, () => srDestroy(lab().double, young.ref)),
  );

  test('what is left of the SR is forgotten, and a probe finds no SR on its image', async () => {
    const pool = lab();
    // SR.destroy attaches the SR before it deletes it, and there is none any more.
    expect((await failure(srDestroy(pool.double, young.ref))).message).toContain('has no volume group');
    await srForget(pool.double, young.ref);
    const probed = srProbe(pool.double, { type: 'rbd', deviceConfig: await configOf(pool, 'young') });
    expect((await failure(probed)).message).toContain('holds no SR');
    await allIsWell();
  });

  test.each([
    ['vdi-activate.activating', 'activating'],
    ['vdi-activate.after-claim', 'deactivating'],
    ['chain-activation.before-count', 'activating'],
    ['chain-activation.before-count', 'deactivating'],
    ['chain-activation.after-one', 'activating'],
    ['vdi-activate.after-chain', 'deactivating'],
    ['vdi-activate.after-data-path', 'activating'],
    ['vdi-activate.after-data-path', 'deactivating'],
  ])('vdi_activate killed at %s: %s goes on from there', async (point, mend) => {
    const pool = lab();
    const host = pool.hostRef(0);
    const activate = (): Promise<void> => vdiActivate(pool.double, host, kept.ref, { writable: true });
    const { params = '' } = await vdiAttach(pool.double, host, kept.ref, { writable: true });
    await killedAt(point, activate);
    if (mend === 'activating') {
      await activate();
      written = await writeNoise(pool, params, 5);
    }
    await detach(pool, 0, kept);
    await allIsWell();
  });

  test.each([
    ['vdi-deactivate.after-data-path', 'activating'],
    ['chain-activation.after-leaf-released', 'deactivating'],
    ['vdi-deactivate.after-chain', 'activating'],
  ])('vdi_deactivate killed at %s: %s goes on from there', async (point, mend) => {
    const pool = lab();
    const host = pool.hostRef(0);
    const device = await attach(pool, 0, kept);
    await killedAt(point, () => vdiDeactivate(pool.double, host, kept.ref));
    if (mend === 'activating') {
      await vdiActivate(pool.double, host, kept.ref, { writable: true });
      written = await writeNoise(pool, device, 5);
    }
    await detach(pool, 0, kept);
    await allIsWell();
  });

  test.each(['vdi-activate.after-claim', 'chain-activation.after-one', 'vdi-activate.after-chain'])(
    'vdi_activate killed at %s: another host that wants the disk asks, and what is left goes',
    async (point) => {
      const pool = lab();
      const host = pool.hostRef(0);
      await vdiAttach(pool.double, host, kept.ref, { writable: true });
      await killedAt(point, () => vdiActivate(pool.double, host, kept.ref, { writable: true }));
      const device = await attach(pool, 1, kept);
      expect(await leftOn(pool, 0)).toMatch(/^mapping \d+\nvolume \S+-MGT\n$/);
      written = await writeNoise(pool, device, 5, 1);
      await detach(pool, 1, kept);
      await vdiDetach(pool.double, host, kept.ref);
      await allIsWell();
    },
  );

  test.each(['nbd.listening', 'nbd.connected'])(
    'the NBD server killed at %s: vdi_activate fails and leaves nothing',
    async (point) => {
      const pool = lab();
      const died = pool.withDriverEnvironment({ RBDSR_FAULT_NBD: point }, () => attach(pool, 0, kept));
      expect((await failure(died)).backendNumber).toBe(453);
      await vdiDetach(pool.double, pool.hostRef(0), kept.ref);
      await allIsWell();
    },
  );

  test('the NBD server killed at nbd.closed, as its disk is deactivated: the disk is whole', async () => {
    const pool = lab();
    const device = await pool.withDriverEnvironment({ RBDSR_FAULT_NBD: 'nbd.closed' }, () => attach(pool, 0, kept));
    written = await writeNoise(pool, device, 5);
    await detach(pool, 0, kept);
    await allIsWell();
  });

  test.each(['ceph.unmap.before-remove', 'ceph.unmap.after-remove'])(
    'sr_detach killed at %s: detaching again finishes it',
    async (point) => {
      const pool = lab();
      const pbd = pbdOn(pool.double, sr.ref, pool.hostRef(1)).ref;
      await killedAt(point, () => pbdUnplug(pool.double, pbd));
      await pbdUnplug(pool.double, pbd);
      expect(await leftOn(pool, 1)).toBe('');
      await pbdPlug(pool.double, pbd);
      await allAgree();
    },
  );

  test.each(['inflate.resized', 'inflate.footer-written'])(
    'a thin disk whose growing for a guest is killed at %s: refused until sr_scan has undone it',
    async (point) => {
      const pool = lab();
      const { thin, disk } = await thinDisk(pool);
      const { params = '' } = await vdiAttach(pool.double, pool.hostRef(0), disk.ref, { writable: true });
      const activate = (): Promise<void> => vdiActivate(pool.double, pool.hostRef(0), disk.ref, { writable: true });
      await killedAt(point, activate);
      await expect(activate()).rejects.toThrow(/journal.*Scan the SR/s);
      await srScan(pool.double, thin.ref);
      await activate();
      const content = await writeNoise(pool, params, 3);
      await killedAt('deflate.footer-written', () => vdiDeactivate(pool.double, pool.hostRef(0), disk.ref));
      await detach(pool, 0, disk);
      expect(await soundContent(pool, thin, disk, 3)).toBe(content.trimEnd());
      expect((await volumesOf(pool, thin)).get(`VHD-${stringOf(disk, 'uuid')}`)?.sizeMiB).toBe(12);
      await vdiDestroy(pool.double, disk.ref);
      await allIsWellOn(pool, thin);
    },
  );

  const thinDisks: { thin?: Sr } = {};
  async function thinDisk(pool: Pool): Promise<{ readonly thin: Sr; readonly disk: Row }> {
    const thin = (thinDisks.thin ??= await makeSr(pool, 'crashes-thin', 256, { allocation: 'thin' }));
    return { thin, disk: await vdiCreate(pool.double, { sr: thin.ref, virtualSize: 16 * MiB }) };
  }

  async function allIsWellOn(pool: Pool, thin: Sr): Promise<void> {
    expect([...(await volumesOf(pool, thin)).keys()]).toEqual(['MGT']);
    expect((await metadataOf(pool, thin)).vdis).toEqual([]);
  }
}
