import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import {
  plugAll,
  srCreate,
  srDestroy,
  srForget,
  srIntroduce,
  srProbe,
  unplugAll,
} from '../../../lab/xapi-double/sr-operations.ts';
import { unpackVectors, type VectorImage, vectorImages } from '../../support/lvhd-vectors.ts';
import { xenOrchestraSrs } from '../../support/wizard-clients/xen-orchestra.ts';
import { knowStockDriver, loginAt, startSsh } from './monitor-login.ts';
import { attach, detach, type Lab } from '../scenario.ts';

/**
 * What else may stand in the wizard's fields, and what else may be on an image: other users, pools, names, an SR of the
 * older plug-in.
 */
export function waysIn(lab: Lab): void {
  let ssh: SshHost;
  const fields = (image: string, more: Record<string, string> = {}): Record<string, string> => ({
    ...loginAt(ssh),
    targetIQN: 'rbd',
    SCSIid: image,
    ...more,
  });
  const probe = (config: Record<string, string>): Promise<string> =>
    srProbe(lab().double, { type: 'lvmoiscsi', deviceConfig: config });
  const users = (): Promise<string> => lab().cluster.tool('ceph', 'auth', 'ls');

  beforeAll(async () => {
    ssh = await startSsh(lab());
    knowStockDriver(lab());
  });
  afterAll(() => ssh?.stop());

  async function created(deviceConfig: Record<string, string>): Promise<Row> {
    const { sr, plugErrors } = await srCreate(lab().double, { type: 'lvmoiscsi', deviceConfig, nameLabel: 'way in' });
    expect(plugErrors).toEqual([]);
    return sr;
  }

  test('an image whose data are in another pool: its own cephx user may use both; one that cannot be removed is named', async () => {
    const { cluster, double } = lab();
    await cluster.createPool('data');
    const features = ['--image-feature', 'layering', '--data-pool', 'data'];
    await cluster.tool('rbd', 'create', '--size', '256M', ...features, 'rbd/wide');
    const sr = await created(fields('wide'));
    const { rbd_user: user } = mapOf(sr, 'sm_config');
    expect(await cluster.tool('ceph', 'auth', 'get', `client.${user}`)).toContain(
      'profile rbd pool=rbd, profile rbd pool=data',
    );
    await unplugAll(double, sr.ref);
    await ssh.stop();
    await srDestroy(double, sr.ref);
    ssh = await startSsh(lab());
    expect(await lab().host(0).shell('cat /var/log/SMlog')).toContain(`ceph auth rm client.${user}`);
    await cluster.tool('ceph', 'auth', 'rm', `client.${user}`);
  });

  test('a cephx user beside the SSH user, and a monitor by its name: no user is made, and a plug needs no resolver', async () => {
    const { cluster, double, hosts } = lab();
    await cluster.createImage('rbd/named', { sizeMiB: 256 });
    const { key } = await cluster.createUser('given', ['rbd']);
    const name = 'mon-a.lab';
    for (const host of hosts) await host.shell(`echo "${ssh.address} ${name}" >>/etc/hosts`);
    const given = { incoming_chapuser: 'client.given', incoming_chappassword: key };
    const sr = await created(fields('named', { target: name, ...given }));
    expect(mapOf(sr, 'sm_config')).toMatchObject({ rbd_user: 'given', rbd_own_user: 'false' });
    expect(await users()).not.toContain('client.rbdsr-');
    await unplugAll(double, sr.ref);
    for (const host of hosts) await host.shell(`sed -i '/${name}/d' /etc/hosts`);
    expect(await plugAll(double, sr.ref)).toEqual([]);
    await unplugAll(double, sr.ref);
    await srDestroy(double, sr.ref);
    expect(await users()).toContain('client.given\n');
  });

  test('a cephx user and its key instead of SSH: every monitor of the cluster is kept, and then the typed one may die', async () => {
    const { cluster, double, hosts } = lab();
    await cluster.createImage('rbd/typed', { sizeMiB: 256 });
    const { key } = await cluster.createUser('typed', ['rbd']);
    const typed = fields('typed', { chapuser: 'client.typed', chappassword: key });
    expect(xenOrchestraSrs(await probe(typed))).toEqual([]);
    for (const host of hosts) expect(await host.shell('ls /sys/bus/rbd/devices')).toBe('');
    const sr = await created(typed);
    const kept = mapOf(sr, 'sm_config');
    expect(kept).toMatchObject({ rbd_user: 'typed', rbd_own_user: 'false' });
    expect(kept['rbd_monitors']?.split(',').sort()).toEqual([...cluster.monitors].sort());
    await unplugAll(double, sr.ref);
    await cluster.stopMonitor(0);
    try {
      expect(await plugAll(double, sr.ref)).toEqual([]);
    } finally {
      await cluster.startMonitor(0);
    }
    await unplugAll(double, sr.ref);
    await srDestroy(double, sr.ref);
    expect(await users()).toContain('client.typed\n');
  });

  test('an SR that the older Python plug-in made is found and plugs as it is, and a disk in a chain has its content', async () => {
    const { cluster, double } = lab();
    const { sr: uuid, vdis, content } = vectorImages('chains')['collected-thick'] as VectorImage;
    using unpacked = unpackVectors('chains', ['collected-thick.img']);
    const file = `${unpacked.folder}/collected-thick.img`;
    await cluster.tool('rbd', 'import', '--no-progress', '--image-feature', 'layering', file, 'rbd/old');
    expect(xenOrchestraSrs(await probe(fields('old')))).toEqual([uuid]);
    const sr = srIntroduce(double, { type: 'lvmoiscsi', uuid, deviceConfig: fields('old') });
    expect(await plugAll(double, sr.ref)).toEqual([]);
    const clone = double.db.where('VDI', 'SR', sr.ref).find((row) => stringOf(row, 'uuid') === vdis['d']);
    if (clone === undefined) throw new Error('the scan did not find the disk');
    const device = await attach(lab(), 1, clone, false);
    const sum = await lab().host(1).shell(`sha256sum <${device}`, { timeoutMs: 120_000 });
    expect(sum).toBe(`${content?.['d']}  -\n`);
    await detach(lab(), 1, clone);
    await srForget(double, sr.ref);
    await cluster.tool('ceph', 'auth', 'rm', `client.rbdsr-${uuid}`);
  });
}
