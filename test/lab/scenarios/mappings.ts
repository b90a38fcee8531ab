import type { Pool } from '../../../lab/pool.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';

// What the kernel of a host has mapped, as its sysfs shows it, and mappings that a scenario makes with its own hand.

export interface SeenMapping {
  readonly index: number;
  /** `pool/namespace/image@snapshot`, the namespace empty where there is none, "-" for no snapshot. */
  readonly name: string;
  /** The client in the cluster: another one is another mapping. */
  readonly client: string;
  /** The line the mapping was made with. */
  readonly line: string;
}

export async function mappingsOf(pool: Pool, host = 0): Promise<SeenMapping[]> {
  const text = await pool.host(host).shell(
    `cd /sys/bus/rbd/devices
     for n in $(ls); do
       echo "$n $(cat $n/pool)/$(cat $n/pool_ns)/$(cat $n/name)@$(cat $n/current_snap) $(cat $n/client_id) $(cat $n/config_info)"
     done`,
  );
  return text
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => /^(\d+) (\S+) (\S+) (.*)$/.exec(row) ?? [])
    .map(([, index, name = '', client = '', line = '']) => ({ index: Number(index), name, client, line }));
}

/** Maps as an administrator would who has no ceph tools: with the admin's key, straight into sysfs. The device. */
export async function mapByHand(
  pool: Pool,
  image: { pool?: string; namespace?: string; image: string; snapshot?: string },
  host = 0,
): Promise<string> {
  const key = await pool.cluster.userKey('admin');
  const more = `${image.namespace === undefined ? '' : `,_pool_ns=${image.namespace}`}${image.snapshot === undefined ? '' : ',ro'}`;
  const line = `${pool.cluster.monitors.join(',')} name=admin,secret=${key}${more} ${image.pool ?? 'rbd'} ${image.image} ${image.snapshot ?? '-'}`;
  const before = (await mappingsOf(pool, host)).map(({ index }) => index);
  await pool.host(host).shell(`cat >/sys/bus/rbd/add_single_major; udevadm settle`, { stdin: line });
  const fresh = (await mappingsOf(pool, host)).find(({ index }) => !before.includes(index));
  if (fresh === undefined) throw new Error('nothing was mapped');
  return `/dev/rbd${fresh.index}`;
}

export async function unmapByHand(pool: Pool, device: string, host = 0): Promise<void> {
  await pool.host(host).shell(`echo ${device.replace('/dev/rbd', '')} >/sys/bus/rbd/remove_single_major`);
}

/** `rbdsr mappings` of the host: what it says, and whether all is as it should be (exit code 0). */
export async function explained(pool: Pool, host = 0): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await pool.host(host).exec([DRIVER, 'mappings']);
  return { code, text: stdout + stderr };
}

/** The PBD of an SR on a host. */
export function pbdOf(pool: Pool, srRef: string, host = 0): string {
  return pbdOn(pool.double, srRef, pool.hostRef(host)).ref;
}
