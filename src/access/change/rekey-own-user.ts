import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { describeKeyTypes } from '../../ceph/control/cluster-key-types.ts';
import type { KernelKeys } from '../../ceph/krbd/kernel-keys.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import { poolsOfImage } from '../../ceph/control/own-user.ts';
import { formatMonitors } from '../../ceph/cluster/monitors.ts';
import { finishSwitch, keepHostKey, keepMonitors, nextOwnUser, switchUser } from '../change-kept.ts';
import { faultPoint } from '../../system/fault-point.ts';
import type { Xapi } from '../../xapi/client.ts';
import { createSecret, destroySecret } from '../../xapi/secret.ts';
import { factsOfSameCluster } from '../monitor-login.ts';
import type { PoolSr } from '../pool-sr.ts';

export interface Rekeyed {
  readonly user: string;
  /** It was begun by an earlier command, which did not come to its end. */
  readonly begunBefore: boolean;
  /** What the cluster allows; undefined where it was not asked. */
  readonly keyTypes?: string;
}

/**
 * Gives a diverted SR a new cephx user of its own. A new user and not a new key: Ceph would refuse to renew the tickets
 * of the hosts that have the image mapped with the old key, within the hour. The old user stays until
 * `removeFormerUsers`.
 */
export async function rekeyOwnUser(
  xapi: Xapi,
  poolSr: PoolSr,
  openHost: () => Promise<MonitorHost>,
  keys: KernelKeys,
  deadline: Deadline,
): Promise<Rekeyed> {
  const { sr, kept, spec } = poolSr;
  const finished = await finishSwitch(xapi, sr);
  if (finished !== undefined) return { user: finished, begunBefore: true };
  if (spec === undefined) throw noPool(sr.uuid);
  await using host = await openHost();
  const { monitors, keyTypes: types } = await factsOfSameCluster(host, poolSr, deadline);
  const name = nextOwnUser(sr.uuid, kept === undefined ? [] : [kept.user, ...kept.formerUsers]);
  const pools = await poolsOfImage(host, spec, deadline);
  const { user, key } = await host.ensureUser(pools, name, deadline, { keys, types });
  faultPoint('rekey.after-create');
  if (kept === undefined)
    await keepMonitors(xapi, sr.ref, formatMonitors(monitors.flatMap(({ v1, v2 }) => v1 ?? v2 ?? [])));
  if (kept?.hostKey === undefined) await keepHostKey(xapi, sr.ref, host.connection.hostKey.line);
  const secret = await createSecret(xapi, key, sr.uuid);
  if (!(await switchUser(xapi, sr, user, secret))) await destroySecret(xapi, secret);
  return { user, begunBefore: false, keyTypes: describeKeyTypes(types) };
}

function noPool(sr: string): RbdsrError {
  return new RbdsrError('config-missing', {
    what: `SR ${sr} has no PBD that says in which pool its image is`,
    todo: 'Create its PBDs first (xe pbd-create).',
  });
}
