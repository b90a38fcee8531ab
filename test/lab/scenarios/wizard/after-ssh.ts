import { afterAll, beforeAll, expect, test } from 'vitest';
import { check } from '../../../../lab/machine/program.ts';
import type { SshHost } from '../../../../lab/ssh-host/ssh-host.ts';
import { mapOf, type Row, stringOf } from '../../../../lab/xapi-double/database.ts';
import {
  plugAll,
  srCreate,
  srDestroy,
  srScan,
  srUpdate,
  unplugAll,
} from '../../../../lab/xapi-double/sr-operations.ts';
import {
  vdiCreate,
  vdiDestroy,
  vdiGenerateConfig,
  vdiResize,
  vdiSnapshot,
} from '../../../../lab/xapi-double/vdi-operations.ts';
import { knowStockDriver, loginAt, startSsh } from '../monitor-login.ts';
import { attach, detach, type Lab } from '../../scenario.ts';

const MiB = 1024 * 1024;
const LONG = { timeoutMs: 300_000 };

/** An SR that was made by a sudoer's login: from then on its own cephx user does it all, and sshd may end. */
export function afterSsh(lab: Lab): void {
  let ssh: SshHost;
  let sr: Row;
  let disk: Row;
  const uuid = (): string => stringOf(sr, 'uuid');
  const rbdsr = (host: number, ...args: string[]): Promise<string> =>
    lab()
      .host(host)
      .check(['rbdsr', ...args], LONG);

  beforeAll(async () => {
    const pool = lab();
    await pool.cluster.createImage('rbd/later', { sizeMiB: 512 });
    knowStockDriver(pool);
    ssh = await startSsh(pool);
    const deviceConfig = { ...loginAt(ssh), targetIQN: 'rbd', SCSIid: 'later' };
    const created = await srCreate(pool.double, { type: 'lvmoiscsi', deviceConfig, nameLabel: 'later' });
    expect(created.plugErrors).toEqual([]);
    sr = created.sr;
    await ssh.stop();
  }, 300_000);
  afterAll(() => ssh?.stop());

  test('SSH was asked once, for the user; the rest of sr_create was by that user itself', async () => {
    const { cluster } = lab();
    expect(await check(cluster.network.inside(['ss', '-Hltn', 'sport = :22']))).toBe('');
    expect(await lab().host(0).shell('cat /var/log/SMlog')).toContain(
      `the cluster is asked as client.rbdsr-${uuid()}, by RBDSR itself`,
    );
    const capabilities = await cluster.tool('ceph', 'auth', 'get', `client.rbdsr-${uuid()}`, '--format', 'json');
    expect(JSON.parse(capabilities)).toMatchObject([
      {
        caps: {
          mon: expect.stringContaining('allow command "osd blocklist" with blocklistop=rm'),
          osd: 'profile rbd pool=rbd',
        },
      },
    ]);
  });

  test('disks come, grow, are used on every host, and go', async () => {
    const { double, hosts } = lab();
    disk = await vdiCreate(double, { sr: sr.ref, virtualSize: 16 * MiB, nameLabel: 'disk' });
    for (const host of hosts.keys()) {
      const device = await attach(lab(), host, disk);
      await lab().host(host).shell(`echo kept | dd of=${device} bs=4k conv=sync,fsync 2>/dev/null`);
      await detach(lab(), host, disk);
    }
    await vdiResize(double, disk.ref, 24 * MiB);
    const snapshot = await vdiSnapshot(double, disk.ref);
    await vdiDestroy(double, snapshot.ref);
    await rbdsr(0, 'gc', uuid());
    await srScan(double, sr.ref);
    await srUpdate(double, sr.ref);
    expect(await vdiGenerateConfig(double, lab().hostRef(1), disk.ref)).toContain('rbd_keyring');
  });

  test('every host plugs anew, with the monitor that was typed down', async () => {
    const { double, cluster } = lab();
    await unplugAll(double, sr.ref);
    await cluster.stopMonitor(0);
    try {
      expect(await plugAll(double, sr.ref)).toEqual([]);
    } finally {
      await cluster.startMonitor(0);
    }
    await srScan(double, sr.ref);
  });

  test('what the operator asks: watchers, objects, the monitors of the cluster', async () => {
    const { picture } = JSON.parse(await rbdsr(0, 'report', uuid(), '--ceph', '--json')) as {
      picture: { cluster?: { watchers: unknown[]; held?: unknown }; missing: unknown[] };
    };
    expect(picture.missing).toEqual([]);
    expect(picture.cluster?.watchers).toHaveLength(lab().hosts.length);
    expect(picture.cluster?.held).toBeDefined();
    expect(await rbdsr(0, 'remonitor', uuid())).toContain(lab().cluster.monitors[0]);
    expect(mapOf(sr, 'sm_config')['rbd_monitors']?.split(',').sort()).toEqual([...lab().cluster.monitors].sort());
  });

  test('a given user and key are tried and taken, and the own user given back', async () => {
    const { cluster } = lab();
    const { key } = await cluster.createUser('given', ['rbd']);
    const own = `rbdsr-${uuid()}`;
    const ownKey = await cluster.userKey(own);
    for (const [user, itsKey] of [
      ['given', key],
      [own, ownKey],
    ] as const) {
      const argv = ['rbdsr', 'rekey', uuid(), '--user', user, '--key-stdin'];
      const said = await lab()
        .host(0)
        .check(argv, { ...LONG, stdin: `${itsKey}\n` });
      expect(said).toContain(`uses client.${user} from now on`);
      expect(said).not.toContain('nobody on this host could try it');
      await unplugAll(lab().double, sr.ref);
      expect(await plugAll(lab().double, sr.ref)).toEqual([]);
    }
  });

  test('only a cephx user cannot be made or removed, and that is said at once', async () => {
    const { code, stdout, stderr } = await lab().host(0).exec(['rbdsr', 'rekey', uuid()], LONG);
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/by an administrator of the cluster alone, over SSH/);
  });

  test('destroy: the SR goes, the image is blank, and the log names the user that is left', async () => {
    const { double, cluster, hosts } = lab();
    await vdiDestroy(double, disk.ref);
    await unplugAll(double, sr.ref);
    await srDestroy(double, sr.ref);
    for (const host of hosts) expect(await host.shell('ls /sys/bus/rbd/devices')).toBe('');
    expect(await lab().host(0).shell('cat /var/log/SMlog')).toContain(`ceph auth rm client.rbdsr-${uuid()}`);
    await cluster.tool('ceph', 'auth', 'rm', `client.rbdsr-${uuid()}`);
    expect(double.offences).toEqual([]);
  });
}
