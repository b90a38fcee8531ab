import { stringOf } from '../../lab/xapi-double/database.ts';
import type { Host } from '../../lab/hosts/host.ts';
import type { Pool } from '../../lab/pool.ts';
import type { Row } from '../../lab/xapi-double/database.ts';
import { srCreate } from '../../lab/xapi-double/sr-operations.ts';
import { vdiActivate, vdiAttach, vdiDeactivate, vdiDetach } from '../../lab/xapi-double/vdi-operations.ts';
import { DRIVER, settingsFile } from '../../lab/hosts/install.ts';
import { SYSTEM_STATE } from '../../lab/hosts/start-script.ts';

/** The one pool of all scenarios; it is up when a test runs, not yet when tests are declared. */
export type Lab = () => Pool;

/** device_config of SR type `rbd` for an image of the lab's cluster. */
export async function configOf(pool: Pool, image: string): Promise<Record<string, string>> {
  const user = await pool.cluster.createUser('xen', ['rbd']);
  return {
    monitors: pool.cluster.monitors.join(','),
    pool: 'rbd',
    image,
    user: user.name,
    password: user.key,
  };
}

/** An SR on a new image of its own, plugged on every host; `more` is further device_config. */
export async function makeSr(
  pool: Pool,
  image: string,
  sizeMiB = 512,
  more: Readonly<Record<string, string>> = {},
): Promise<{ ref: string; uuid: string }> {
  await pool.cluster.createImage(`rbd/${image}`, { sizeMiB });
  const { sr, plugErrors } = await srCreate(pool.double, {
    type: 'rbd',
    deviceConfig: { ...(await configOf(pool, image)), ...more },
    nameLabel: image,
  });
  for (const error of plugErrors) throw error;
  return { ref: sr.ref, uuid: stringOf(sr, 'uuid') };
}

/** vdi_attach and vdi_activate; the block device a guest gets. */
export async function attach(pool: Pool, host: number, vdi: Row, writable = true): Promise<string> {
  const hostRef = pool.hostRef(host);
  const { params } = await vdiAttach(pool.double, hostRef, vdi.ref, { writable });
  await vdiActivate(pool.double, hostRef, vdi.ref, { writable });
  if (params === undefined) throw new Error('vdi_attach named no device');
  return params;
}

export async function detach(pool: Pool, host: number, vdi: Row): Promise<void> {
  const hostRef = pool.hostRef(host);
  await vdiDeactivate(pool.double, hostRef, vdi.ref);
  await vdiDetach(pool.double, hostRef, vdi.ref);
}

/**
 * Runs a script in a guest, or what stands in for one, whose disk, /dev/xvda, is that device of the host; what it
 * printed.
 */
export async function inGuest(
  pool: Pool,
  host: number,
  device: string,
  script: string,
  writable = true,
): Promise<string> {
  const guest = await pool.host(host).startGuest({ device, writable, script });
  try {
    const { code, output } = await guest.finished();
    if (code !== 0) throw new Error(`the guest's script ended with ${code}: ${output}`);
    return output;
  } finally {
    await guest.destroy();
  }
}

/** Puts the settings of the lab back, with lines of the scenario's own after them. */
export async function setSettings(pool: Pool, lines = ''): Promise<void> {
  await Promise.all(
    pool.running.map((host) => host.writeFile('/etc/rbdsr/rbdsr.conf', `${settingsFile(host)}${lines}`)),
  );
}

/**
 * Whatever a scenario that failed, or was interrupted, has left: faults, guests, servers, LVs, mappings, records,
 * pools, users, and hosts that are off or changed. A scenario that went well has left nothing.
 */
export async function cleanUp(pool: Pool): Promise<void> {
  await pool.faults.endAll();
  pool.cluster.thawOsds();
  for (const index of pool.cluster.monitors.keys()) await pool.cluster.startMonitor(index);
  const [leftInCeph] = await Promise.all([extrasOf(pool), ...pool.hosts.map((host) => cleanHost(host))]);
  await setSettings(pool);
  const { db } = pool.double;
  pool.double.attachedOn.clear();
  for (const table of ['VBD', 'VDI', 'PBD', 'SR'] as const) {
    for (const { ref } of db.all(table)) db.destroy(table, ref);
  }
  const { images, pools, users } = leftInCeph;
  await Promise.all(images.map((name) => pool.cluster.removeImage(`rbd/${name}`)));
  for (const name of pools)
    await pool.cluster.tool('ceph', 'osd', 'pool', 'rm', name, name, '--yes-i-really-really-mean-it');
  for (const name of users) await pool.cluster.tool('ceph', 'auth', 'rm', name);
}

/** What every lab has. */
const POOLS = ['rbd', 'device_health_metrics', '.mgr'];
const CLIENTS = ['client.admin', 'client.xen'];

async function extrasOf(pool: Pool): Promise<Readonly<Record<'images' | 'pools' | 'users', string[]>>> {
  const json = async (...words: readonly string[]): Promise<unknown> =>
    JSON.parse(await pool.cluster.tool(...(words as ['ceph' | 'rbd', ...string[]]), '--format', 'json'));
  const [images, pools, users] = await Promise.all([
    json('rbd', 'ls', 'rbd') as Promise<string[]>,
    json('ceph', 'osd', 'pool', 'ls') as Promise<string[]>,
    json('ceph', 'auth', 'ls') as Promise<{ auth_dump: { entity: string }[] }>,
  ]);
  const clients = users.auth_dump.map(({ entity }) => entity).filter((name) => /^client\.(?!bootstrap-)/.test(name));
  return {
    images,
    pools: pools.filter((name) => !POOLS.includes(name)),
    users: clients.filter((name) => !CLIENTS.includes(name)),
  };
}

async function cleanHost(host: Host): Promise<void> {
  if (!host.isOn) await host.powerOn();
  await host.shell(CLEAN_HOST, { timeoutMs: 120_000 });
}

const CLEAN_HOST = `
pkill -KILL '^rbdsr sm' || true
[ ! -e /proc/xen/capabilities ] || for guest in $(xl list | awk 'NR > 1 && $1 != "Domain-0" { print $1 }'); do xl destroy $guest; done
pkill -TERM '^rbdsr nbd' || true
n=0; while pgrep '^rbdsr nbd' >/dev/null && [ $n -lt 10 ]; do sleep 1; n=$((n+1)); done
pkill -KILL '^rbdsr nbd' || true
for device in /sys/block/nbd*/pid; do
  [ -e "$device" ] && nbd-client -d /dev/$(basename $(dirname $device)) >/dev/null 2>&1 || true
done
dmsetup remove_all --force >/dev/null 2>&1 || true
udevadm settle
remove=/sys/bus/rbd/remove
[ ! -e /sys/bus/rbd/remove_single_major ] || remove=/sys/bus/rbd/remove_single_major
for index in $(ls /sys/bus/rbd/devices); do echo "$index force" >$remove || true; done
[ -e /sys/bus/rbd/add_single_major ] || { modprobe -r rbd; modprobe rbd single_major=Y; }
[ ! -e /var/lib/xcp/xapi.away ] || mv /var/lib/xcp/xapi.away /var/lib/xcp/xapi
rm -f /usr/bin/ceph /usr/bin/rbd
echo running >${SYSTEM_STATE}
[ -e ${DRIVER} ] || /opt/rbdsr/launcher.sh enable </dev/null
[ "$(readlink ${DRIVER})" = /opt/rbdsr/launcher.sh ] || ln -sf /opt/rbdsr/launcher.sh ${DRIVER}
rm -rf /var/run/rbdsr/sr /var/run/rbdsr/nbd /run/rbdsr/calls /var/run/sm/refcount /var/lock/sm/*-*-*-*-* /dev/sm/phy /dev/sm/backend /run/blktap-control/nbd
`;
