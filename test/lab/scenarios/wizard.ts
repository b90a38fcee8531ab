import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn, send } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import {
  plugAll,
  srCreate,
  srDestroy,
  srForget,
  srIntroduce,
  srProbe,
  srScan,
  unplugAll,
} from '../../../lab/xapi-double/sr-operations.ts';
import { attachFromConfig, detachFromConfig } from '../../../lab/xapi-double/static-vdis.ts';
import { vdiCreate, vdiDestroy, vdiGenerateConfig } from '../../../lab/xapi-double/vdi-operations.ts';
import { xenOrchestraLuns, xenOrchestraSrs, xenOrchestraTargets } from '../../support/wizard-clients/xen-orchestra.ts';
import { mappingsOf } from './mappings.ts';
import { ENTRY, knowStockDriver, loginAt, PASSWORD, startSsh } from './monitor-login.ts';
import { attach, detach, type Lab } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';

const MiB = 1024 * 1024;

/**
 * An SR by the ordinary "New iSCSI SR" wizard, from the first field to the last day: the installed divert, a real
 * monitor over real SSH, two hosts. The stock iSCSI driver is a stand-in that says what it was asked.
 */
export function wizard(lab: Lab): void {
  let ssh: SshHost;
  let sr: Row;
  let disk: Row;
  const fields = (more: Record<string, string> = {}): Record<string, string> => ({ ...loginAt(ssh), ...more });
  const chosen = (): Record<string, string> => fields({ targetIQN: 'rbd', SCSIid: 'wizard' });
  const probe = (config: Record<string, string>): Promise<string> =>
    srProbe(lab().double, { type: 'lvmoiscsi', deviceConfig: config });

  beforeAll(async () => {
    const pool = lab();
    await pool.cluster.createImage('rbd/wizard', { sizeMiB: 512 });
    ssh = await startSsh(pool);
    knowStockDriver(pool);
  }, 300_000);
  afterAll(() => ssh?.stop());

  test("a call for any other port is the stock driver's, with the same request", async () => {
    const device_config = { target: '10.0.0.1', port: '3260' };
    const answer = await send(lab().double, lab().hostRef(0), ENTRY, 'sr_probe', { args: [], device_config });
    expect(answer.code).toBe(0);
    expect(answer.stdout).toContain('/opt/xensource/sm/rbdsr-stock/LVMoISCSISR');
    expect(answer.stdout).toContain('3260');
    expect(answer.stdout).not.toContain('fault');
  });

  test('pools, images, no SR yet', async () => {
    const pools = await failure(probe(fields()));
    expect(pools.backendNumber, pools.message).toBe(96);
    const targets = xenOrchestraTargets(pools.description[3] ?? '', ssh.address);
    expect(targets.map(({ iqn }) => iqn)).toContain('rbd');
    const images = await failure(probe(fields({ targetIQN: 'rbd' })));
    expect(images.backendNumber, images.message).toBe(107);
    expect(xenOrchestraLuns(images.description[3] ?? '').map(({ scsiId }) => scsiId)).toContain('wizard');
    expect(xenOrchestraSrs(await probe(chosen()))).toEqual([]);
    for (const host of lab().hosts) expect(await host.shell('ls /sys/bus/rbd/devices')).toBe('');
  });

  test('create: plugged on every host, with a cephx user of its own and nothing secret to be read', async () => {
    const { double, cluster } = lab();
    const created = await srCreate(double, { type: 'lvmoiscsi', deviceConfig: chosen(), nameLabel: 'by wizard' });
    expect(created.plugErrors).toEqual([]);
    sr = created.sr;
    const kept = mapOf(sr, 'sm_config');
    const user = `rbdsr-${stringOf(sr, 'uuid')}`;
    expect(kept).toMatchObject({ rbd_user: user, rbd_own_user: 'true', rbd_fsid: cluster.fsid });
    expect(kept['rbd_monitors']?.split(',').sort()).toEqual([...cluster.monitors].sort());
    expect(await cluster.tool('ceph', 'auth', 'get', `client.${user}`)).toContain('profile rbd pool=rbd');
    const key = await cluster.userKey(user);
    for (const host of lab().hosts) {
      const seen = await host.shell('cat /var/log/SMlog /sys/bus/rbd/devices/*/config_info; cat /var/run/rbdsr/sr/*');
      for (const secret of [PASSWORD, key]) expect(seen).not.toContain(secret);
      expect(await host.shell('grep -c " ceph " /proc/keys || true')).toBe('0\n');
    }
    disk = await vdiCreate(double, { sr: sr.ref, virtualSize: 16 * MiB, nameLabel: 'disk' });
    const device = await attach(lab(), 1, disk);
    await lab().host(1).shell(`echo kept | dd of=${device} bs=4k conv=sync,fsync 2>/dev/null`);
    await detach(lab(), 1, disk);
  });

  test('HA: the configuration for the boot holds no secret and works with xapi and SSH away', async () => {
    const pool = lab();
    const document = await vdiGenerateConfig(pool.double, pool.hostRef(0), disk.ref);
    const key = await pool.cluster.userKey(`rbdsr-${stringOf(sr, 'uuid')}`);
    for (const secret of [PASSWORD, key]) expect(document).not.toContain(secret);
    await pbdUnplug(pool.double, pbdOn(pool.double, sr.ref, pool.hostRef(0)).ref);
    await ssh.stop();
    const hidden = 'mv /var/lib/xcp/xapi /var/lib/xcp/xapi.away';
    await pool.host(0).shell(hidden);
    try {
      const answer = await attachFromConfig(pool.double, pool.hostRef(0), 'lvmoiscsi', document);
      const device = typeof answer === 'string' ? answer : (answer.params ?? '');
      expect(await pool.host(0).shell(`dd if=${device} bs=4k count=1 2>/dev/null | head -n 1`)).toBe('kept\n');
      await detachFromConfig(pool.double, pool.hostRef(0), 'lvmoiscsi', document);
    } finally {
      await pool.host(0).shell('mv /var/lib/xcp/xapi.away /var/lib/xcp/xapi');
    }
    await pbdPlug(pool.double, pbdOn(pool.double, sr.ref, pool.hostRef(0)).ref);
  });

  test('the typed monitor is dead and the typed password gone: the SR plugs again all the same', async () => {
    const pool = lab();
    await pool.cluster.stopMonitor(0);
    for (const secret of Object.entries(mapOf(pbdOn(pool.double, sr.ref, pool.hostRef(0)), 'device_config'))) {
      if (!secret[0].endsWith('_secret')) continue;
      for (const { ref } of pool.double.db.where('secret', 'uuid', secret[1])) pool.double.db.destroy('secret', ref);
    }
    await unplugAll(pool.double, sr.ref);
    expect(await plugAll(pool.double, sr.ref)).toEqual([]);
    await srScan(pool.double, sr.ref);
    expect(pool.double.db.where('VDI', 'SR', sr.ref).map(({ fields: { name_label } }) => name_label)).toEqual(['disk']);
    await pool.cluster.startMonitor(0);
  });

  test('reattach: a forgotten SR is found by the wizard and comes back with its disks', async () => {
    const pool = lab();
    ssh = await startSsh(pool);
    const uuid = stringOf(sr, 'uuid');
    await srForget(pool.double, sr.ref);
    expect(xenOrchestraSrs(await probe(chosen()))).toEqual([uuid]);
    sr = srIntroduce(pool.double, { type: 'lvmoiscsi', uuid, deviceConfig: chosen() });
    expect(await plugAll(pool.double, sr.ref)).toEqual([]);
    expect(mapOf(sr, 'sm_config')).toMatchObject({ rbd_user: `rbdsr-${uuid}` });
    const [found] = pool.double.db.where('VDI', 'SR', sr.ref);
    expect(found?.fields['name_label']).toBe('disk');
    if (found !== undefined) disk = found;
  });

  test('rekey: a new cephx user while a disk is in use, then each host plugs again, then the old user goes', async () => {
    const pool = lab();
    const uuid = stringOf(sr, 'uuid');
    const user = (): string => mapOf(sr, 'sm_config')['rbd_user'] ?? '';
    const mappedBy = async (host: number): Promise<string[]> =>
      (await mappingsOf(pool, host)).map(({ line }) => /name=([^, ]+)/.exec(line)?.[1] ?? '');
    const removeOld = ['rbdsr', 'rekey', uuid, '--remove-old'];
    const old = user();
    const device = await attach(pool, 1, disk);
    await pool.host(0).check(['rbdsr', 'rekey', uuid], { timeoutMs: 300_000 });
    expect(user()).toMatch(new RegExp(`^rbdsr-${uuid}-`));
    expect(await pool.host(1).shell(`dd if=${device} bs=4k count=1 2>/dev/null | head -n 1`)).toBe('kept\n');
    const tooEarly = await pool.host(0).exec(removeOld, { timeoutMs: 300_000 });
    expect(tooEarly.code, tooEarly.stdout + tooEarly.stderr).toBe(1);
    expect(await pool.cluster.tool('ceph', 'auth', 'ls')).toContain(`client.${old}\n`);

    await detach(pool, 1, disk);
    for (const [index, host] of pool.double.hosts.entries()) {
      expect(await mappedBy(index)).toEqual([old]);
      const pbd = pbdOn(pool.double, sr.ref, host.ref).ref;
      await pbdUnplug(pool.double, pbd);
      await pbdPlug(pool.double, pbd);
      expect(await mappedBy(index)).toEqual([user()]);
    }
    const inTheWay = await pool.host(0).exec(removeOld, { timeoutMs: 300_000 });
    expect(inTheWay.stdout + inTheWay.stderr).toContain('key file of it for HA');
    await vdiGenerateConfig(pool.double, pool.hostRef(0), disk.ref);
    await pool.host(0).check(removeOld, { timeoutMs: 300_000 });
    expect(await pool.cluster.tool('ceph', 'auth', 'ls')).not.toContain(`client.${old}\n`);
    await srScan(pool.double, sr.ref);
  });

  test('destroy: the cephx user, the secrets and the mappings go', async () => {
    const pool = lab();
    await vdiDestroy(pool.double, disk.ref);
    await unplugAll(pool.double, sr.ref);
    await srDestroy(pool.double, sr.ref);
    expect(await pool.cluster.tool('ceph', 'auth', 'ls')).not.toContain('client.rbdsr-');
    for (const host of pool.hosts) expect(await host.shell('ls /sys/bus/rbd/devices')).toBe('');
  });
}
