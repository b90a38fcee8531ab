import { beforeAll, describe, expect, test } from 'vitest';
import { check } from '../../../../lab/machine/program.ts';
import { mapOf, type Row, stringOf } from '../../../../lab/xapi-double/database.ts';
import {
  plugAll,
  srCreate,
  srDestroy,
  srForget,
  srIntroduce,
  srProbe,
  srScan,
  unplugAll,
} from '../../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../../lab/xapi-double/vdi-operations.ts';
import { failure } from '../../../support/xapi-failure.ts';
import { xenCenterLuns, xenCenterTargets } from '../../../support/wizard-clients/xencenter.ts';
import {
  xenOrchestraLuns,
  xenOrchestraSrs,
  xenOrchestraTargets,
} from '../../../support/wizard-clients/xen-orchestra.ts';
import { knowStockDriver } from '../monitor-login.ts';
import { programsThatNoHostHas } from '../storage.ts';
import { attach, detach, type Lab } from '../../scenario.ts';

const MiB = 1024 * 1024;

/**
 * The wizard with nothing but a cephx user that has `profile rbd` on one pool, and its key: no SSH server runs at any
 * monitor, and no host has ceph tools. The calls are those of each client, in its order.
 */
export function wizardByKey(lab: Lab): void {
  let key: string;
  const address = (): string => lab().cluster.monitors[0]?.replace(/:6789$/, '') ?? '';
  const fields = (more: Record<string, string> = {}): Record<string, string> => ({
    target: address(),
    port: '6789',
    chapuser: 'client.handed-out',
    chappassword: key,
    ...more,
  });
  const probe = (config: Record<string, string>): Promise<string> =>
    srProbe(lab().double, { type: 'lvmoiscsi', deviceConfig: config });
  const create = (config: Record<string, string>, nameLabel: string) =>
    srCreate(lab().double, { type: 'lvmoiscsi', deviceConfig: config, nameLabel });
  /** What a client finds in the fourth element of the error. */
  const listed = async (asking: Promise<unknown>, number: number): Promise<string> => {
    const error = await failure(asking);
    expect(error.backendNumber, error.message).toBe(number);
    return error.description[3] ?? '';
  };

  beforeAll(async () => {
    const { cluster } = lab();
    await cluster.createImage('rbd/by-xo', { sizeMiB: 512 });
    await cluster.createImage('rbd/by-xencenter', { sizeMiB: 512 });
    await cluster.createPool('closed');
    ({ key } = await cluster.createUser('handed-out', ['rbd']));
    knowStockDriver(lab());
  });

  test('no SSH server runs at any monitor, and no host has ceph tools', async () => {
    const { cluster, hosts } = lab();
    expect(await check(cluster.network.inside(['ss', '-Hltn', 'sport = :22']))).toBe('');
    for (const host of hosts) expect(await programsThatNoHostHas(host)).toBe('');
    expect(await cluster.tool('ceph', 'auth', 'get', 'client.handed-out')).toContain('caps mon = "profile rbd"\n');
  });

  describe('Xen Orchestra', () => {
    let sr: Row;

    test('three probes: pools, images, no SR yet; nothing is left mapped', async () => {
      const targets = xenOrchestraTargets(await listed(probe(fields()), 96), address());
      expect(targets.map(({ iqn }) => iqn)).toEqual(expect.arrayContaining(['closed', 'rbd']));
      const luns = xenOrchestraLuns(await listed(probe(fields({ targetIQN: 'rbd' })), 107));
      expect(luns.map(({ scsiId }) => scsiId)).toEqual(expect.arrayContaining(['by-xencenter', 'by-xo']));
      expect(xenOrchestraSrs(await probe(fields({ targetIQN: 'rbd', SCSIid: 'by-xo' })))).toEqual([]);
      for (const host of lab().hosts) expect(await host.shell('ls /sys/bus/rbd/devices')).toBe('');
    });

    test('a pool that the user may not use: the capability is named', async () => {
      const error = await failure(probe(fields({ targetIQN: 'closed' })));
      expect(error.backendNumber, error.message).toBe(68);
      expect(error.message).toContain("osd 'profile rbd pool=closed'");
    });

    test('create, use, forget, find again, destroy', async () => {
      const { double, cluster } = lab();
      const chosen = fields({ targetIQN: 'rbd', SCSIid: 'by-xo' });
      const created = await create(chosen, 'by Xen Orchestra');
      expect(created.plugErrors).toEqual([]);
      const uuid = stringOf(created.sr, 'uuid');
      const kept = mapOf(created.sr, 'sm_config');
      expect(kept).toMatchObject({ rbd_user: 'handed-out', rbd_own_user: 'false', rbd_fsid: cluster.fsid });
      expect(kept['rbd_monitors']?.split(',').sort()).toEqual([...cluster.monitors].sort());
      const disk = await vdiCreate(double, { sr: created.sr.ref, virtualSize: 8 * MiB });
      const device = await attach(lab(), 1, disk);
      await lab().host(1).shell(`echo kept | dd of=${device} bs=4k conv=sync,fsync 2>/dev/null`);
      await detach(lab(), 1, disk);
      await unplugAll(double, created.sr.ref);
      await srForget(double, created.sr.ref);
      expect(xenOrchestraSrs(await probe(chosen))).toEqual([uuid]);
      sr = srIntroduce(double, { type: 'lvmoiscsi', uuid, deviceConfig: chosen });
      expect(await plugAll(double, sr.ref)).toEqual([]);
      await srScan(double, sr.ref);
      const [found] = double.db.where('VDI', 'SR', sr.ref);
      if (found === undefined) throw new Error('the disk is there');
      await vdiDestroy(double, found.ref);
      await unplugAll(double, sr.ref);
      await srDestroy(double, sr.ref);
    });
  });

  describe('XenCenter', () => {
    test('discovers by creating, looks whether there is an SR, creates, destroys', async () => {
      const { double } = lab();
      const targets = xenCenterTargets(await listed(create(fields(), '__gui__'), 96));
      expect(targets.map(({ iqn, port }) => ({ iqn, port }))).toContainEqual({ iqn: 'rbd', port: 6789 });
      const luns = xenCenterLuns(await listed(create(fields({ targetIQN: 'rbd' }), '__gui__'), 107));
      expect(luns.map(({ scsiId, size }) => ({ scsiId, size }))).toContainEqual({
        scsiId: 'by-xencenter',
        size: BigInt(512 * MiB),
      });
      expect(double.db.all('SR')).toEqual([]);
      const chosen = fields({ targetIQN: 'rbd', SCSIid: 'by-xencenter' });
      expect(xenOrchestraSrs(await probe(chosen))).toEqual([]);
      const { sr, plugErrors } = await create(chosen, 'by XenCenter');
      expect(plugErrors).toEqual([]);
      await srScan(double, sr.ref);
      await unplugAll(double, sr.ref);
      await srDestroy(double, sr.ref);
    });
  });

  test('each call said who it was, the key is nowhere to be read, and the user is still there', async () => {
    const { cluster, hosts, double } = lab();
    const log = await lab().host(0).shell('cat /var/log/SMlog');
    expect(log).toContain('the cluster is asked as client.handed-out, by RBDSR itself');
    for (const host of hosts) {
      const seen = await host.shell(
        'cat /var/log/SMlog; ls /sys/bus/rbd/devices; find /var/run/rbdsr -name "ceph-client*"',
      );
      expect(seen).not.toContain(key);
      expect(seen).not.toContain('ceph-client');
    }
    expect(await cluster.tool('ceph', 'auth', 'ls')).toContain('client.handed-out\n');
    expect(double.offences).toEqual([]);
  });
}
