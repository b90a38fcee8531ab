import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { type Step, step } from '../../base/steps.ts';
import { formatMonitors, kernelAddresses } from '../../ceph/cluster/monitors.ts';
import { describeKeyTypes } from '../../ceph/control/cluster-key-types.ts';
import type { ClusterFacts } from '../../ceph/control/monitor-map.ts';
import { type ClusterUser, poolsOfImage } from '../../ceph/control/own-user.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import type { ImageSpec } from '../../ceph/image/image-spec.ts';
import type { KernelKeys } from '../../ceph/krbd/kernel-keys.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { createSecret, destroySecret } from '../../xapi/secret.ts';
import { keepHostKey, keepMonitors } from '../change-kept.ts';
import { factsOfSameCluster } from '../monitor-login.ts';
import type { PoolSr } from '../pool-sr.ts';
import { finishSwitch } from './finish-switch.ts';
import { nextOwnUser } from './own-user-name.ts';
import { switchUser } from './switch-user.ts';

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
  const { sr, spec } = poolSr;
  const finished = await finishSwitch(xapi, sr);
  if (finished !== undefined) return { user: finished, begunBefore: true };
  if (spec === undefined) throw noPool(sr.uuid);
  await using host = await openHost();
  const facts = await factsOfSameCluster(host, poolSr, deadline);
  const renewing: Renewing = { xapi, poolSr, spec, host, facts, keys, deadline };
  await runSteps(newUserSteps, renewing);
  const { made, secret } = renewing;
  if (made === undefined || secret === undefined) throw new Error('no user was made');
  if (!(await switchUser(xapi, sr, made.user, secret))) await destroySecret(xapi, secret);
  return { user: made.user, begunBefore: false, keyTypes: describeKeyTypes(facts.keyTypes) };
}

/** The making of a user. */
interface Renewing {
  readonly xapi: Xapi;
  readonly poolSr: PoolSr;
  readonly spec: ImageSpec;
  readonly host: MonitorHost;
  readonly facts: ClusterFacts;
  /** What this host's kernel can use. */
  readonly keys: KernelKeys;
  readonly deadline: Deadline;
  /** By the first step. */
  made?: ClusterUser;
  /** By the last one. */
  secret?: string;
}

/** Those of switch-user.ts follow. */
export const newUserSteps: readonly Step<Renewing>[] = [
  step('rekey.after-create', makeUser, {
    does: 'the cluster makes the user `rbdsr-<sr>-<n>`',
    leaves: { id: 'user-of-nobody', says: 'a user nobody uses' },
    mendedBy: {
      by: ['again', 'doctor'],
      says: 'rekey again takes it, with the key it has; or `rbdsr doctor --monitor` names it',
    },
  }),
  step('rekey.after-facts', keepFacts, {
    does: 'the monitors and the SSH host key, where the SR keeps none, by the steps of remonitor below',
    leaves: { id: 'user-of-nobody-and-facts', says: 'the same, and what remonitor writes' },
    mendedBy: { by: ['again'], says: 'rekey again' },
    when: ({ poolSr: { kept } }) => kept?.hostKey === undefined,
  }),
  step('rekey.after-new-secret', makeSecret, {
    does: 'a xapi secret with its key',
    leaves: { id: 'secret-of-nobody', says: 'a secret nobody names' },
    mendedBy: { by: ['again', 'doctor'], says: 'rekey again makes another; `rbdsr doctor` names it' },
  }),
];

async function makeUser(renewing: Renewing): Promise<void> {
  const { poolSr, spec, host, facts, keys, deadline } = renewing;
  const { sr, kept } = poolSr;
  const name = nextOwnUser(sr.uuid, kept === undefined ? [] : [kept.user, ...kept.formerUsers]);
  const pools = await poolsOfImage(host, spec, deadline);
  renewing.made = await host.ensureUser(pools, name, deadline, { keys, types: facts.keyTypes });
}

async function keepFacts({ xapi, poolSr: { sr, kept }, host, facts }: Renewing): Promise<void> {
  if (kept === undefined) {
    await keepMonitors(xapi, sr.ref, formatMonitors(kernelAddresses(facts.monitors)));
  }
  await keepHostKey(xapi, sr.ref, host.connection.hostKey.line);
}

async function makeSecret(renewing: Renewing): Promise<void> {
  const { xapi, poolSr, made } = renewing;
  if (made !== undefined) renewing.secret = await createSecret(xapi, made.key, poolSr.sr.uuid);
}

function noPool(sr: string): RbdsrError {
  return new RbdsrError('config-missing', {
    what: `SR ${sr} has no PBD that says in which pool its image is`,
    todo: 'Create its PBDs first (xe pbd-create).',
  });
}
