import { afterEach, beforeAll, expect, test } from 'vitest';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srScan, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { failsInTime, noLauncherIsLeft, withDeadline } from './frozen-osds.ts';
import { mappingsOf, pbdOf } from './mappings.ts';
import { type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';

const MiB = 1024 * 1024;

/** Three monitors, of which some are down, are named otherwise, or speak another protocol. */
export function monitors(lab: Lab): void {
  let sr: { ref: string; uuid: string };

  beforeAll(async () => {
    sr = await makeSr(lab(), 'mon-1');
  });
  afterEach(() => startAll());

  /** The cluster's tools wait for a quorum. */
  async function startAll(): Promise<void> {
    const { cluster } = lab();
    for (const index of cluster.monitors.keys()) await cluster.startMonitor(index);
    await cluster.tool('ceph', 'mon', 'stat');
  }

  async function diskComesAndGoes(srRef = sr.ref): Promise<void> {
    const vdi = await vdiCreate(lab().double, { sr: srRef, virtualSize: 8 * MiB });
    await vdiDestroy(lab().double, vdi.ref);
  }

  /** Unplugs the master's PBD and plugs it with another device_config. */
  async function replug(more: Readonly<Record<string, string>>): Promise<void> {
    const pool = lab();
    const pbd = pool.double.db.get('PBD', pbdOf(pool, sr.ref));
    await pbdUnplug(pool.double, pbd.ref);
    const before = mapOf(pbd, 'device_config');
    pbd.fields['device_config'] = { ...before, ...more };
    try {
      await pbdPlug(pool.double, pbd.ref);
    } finally {
      pbd.fields['device_config'] = before;
    }
  }

  test('the first of the list is down: an SR is created, plugged and used', async () => {
    const pool = lab();
    await pool.cluster.stopMonitor(0);
    const made = await makeSr(pool, 'mon-2');
    await diskComesAndGoes(made.ref);
    await unplugAll(pool.double, made.ref);
  });

  test('a plugged SR works on while monitors go, even all of them; a plug fails by its deadline and names them', {
    timeout: 600_000,
  }, async () => {
    const pool = lab();
    await pool.cluster.stopMonitor(1);
    await diskComesAndGoes();
    await pool.cluster.stopMonitor(2);
    await pool.cluster.quorumIsLost(0);
    await withDeadline(pool, async () => {
      // On the second host, which has to map anew.
      const pbd = pbdOf(pool, sr.ref, 1);
      await pbdUnplug(pool.double, pbd);
      const withoutQuorum = await failsInTime(pbdPlug(pool.double, pbd));
      expect(withoutQuorum).toMatch(/10\.66\.0\.1:6789.*(?:answered|quorum)/);
      await pool.cluster.stopMonitor(0);
      const withoutAny = await failsInTime(pbdPlug(pool.double, pbd));
      expect(withoutAny).toMatch(/no Ceph monitor answers.*10\.66\.0\.1:6789/);
      await noLauncherIsLeft(pool, 1);
    });
    expect(await mappingsOf(pool, 1)).toEqual([]);
    await srScan(pool.double, sr.ref);
    await startAll();
    await pbdPlug(pool.double, pbdOf(pool, sr.ref, 1));
  });

  test('a list of an address where nobody is, a host name and a port', async () => {
    const pool = lab();
    await pool.host(0).shell('echo "10.66.0.2 mon-b.ceph.example" >>/etc/hosts');
    await replug({ monitors: '10.66.0.250, mon-b.ceph.example; 10.66.0.3:6789' });
    expect((await mappingsOf(pool))[0]?.line).toMatch(/^(?=.*10\.66\.0\.2:6789)(?!.*10\.66\.0\.250)/);
    await diskComesAndGoes();
  });

  test('the ports of msgr v2: the kernel is told to speak it, and where it may not, the setting of the cluster is named', async () => {
    const pool = lab();
    const ports = pool.cluster.monitors.map((address) => address.replace('6789', '3300')).join(',');
    await replug({ monitors: ports });
    expect((await mappingsOf(pool))[0]?.line).toContain('ms_mode=prefer-crc');
    await diskComesAndGoes();
    const { message } = await failure(replug({ monitors: ports, options: 'ms_mode=legacy' }));
    expect(message).toMatch(/speak only msgr v2.*ms_bind_msgr1/);
    await replug({});
  });
}
