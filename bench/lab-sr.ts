import type { Pool } from '../lab/pool.ts';
import type { Row } from '../lab/xapi-double/database.ts';
import { srCreate } from '../lab/xapi-double/sr-operations.ts';
import { vdiActivate, vdiAttach, vdiDeactivate, vdiDetach } from '../lab/xapi-double/vdi-operations.ts';

/** An SR on a new image of the lab's cluster, plugged on every host. */
export async function makeSr(pool: Pool, sizeMiB: number): Promise<Row> {
  await pool.cluster.createImage('rbd/bench', { sizeMiB });
  const { name, key } = await pool.cluster.createUser('xen', ['rbd']);
  const { sr, plugErrors } = await srCreate(pool.double, {
    type: 'rbd',
    nameLabel: 'bench',
    deviceConfig: {
      monitors: pool.cluster.monitors.join(','),
      pool: 'rbd',
      image: 'bench',
      user: name,
      password: key,
    },
  });
  for (const error of plugErrors) throw error;
  return sr;
}

export async function attachDisk(pool: Pool, host: number, vdi: string): Promise<void> {
  await vdiAttach(pool.double, pool.hostRef(host), vdi, { writable: true });
  await vdiActivate(pool.double, pool.hostRef(host), vdi, { writable: true });
}

export async function detachDisk(pool: Pool, host: number, vdi: string): Promise<void> {
  await vdiDeactivate(pool.double, pool.hostRef(host), vdi);
  await vdiDetach(pool.double, pool.hostRef(host), vdi);
}
