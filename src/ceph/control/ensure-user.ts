import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import type { CephTools } from './tools/ceph-tool-runner.ts';
import { exitErrno } from './tools/ceph-tool-errors.ts';
import { type KeyType, keyTypeOf } from '../cluster/cephx-key.ts';
import { type ClusterKeyTypes, keyTypeFor, refuseForbiddenKey } from './cluster-key-types.ts';
import { type KernelKeys, kernelKeys, refuseUnusableKey } from '../krbd/kernel-keys.ts';
import { kernelTraits } from '../krbd/kernel-traits.ts';
import { type ClusterUser, decodeUser, leastCapabilities, ownEntity, poolCapabilities } from './own-user.ts';

/** Who will use the key, and what the cluster has said of its own. */
export interface KeyUse {
  /** Default: this host's. */
  readonly keys?: KernelKeys;
  /** Undefined for a cluster that knows no types. */
  readonly types?: ClusterKeyTypes | undefined;
}

/**
 * A cephx user of our own that may use these pools only, and let a fenced client in again, and its key. One that is
 * there already is left as it is, its key included, whatever type is asked for. What comes back is usable by the kernel
 * and allowed by the cluster: else the user that was made is removed again, and one that was there is named.
 */
export async function ensureUser(
  tools: Pick<CephTools, 'ceph'>,
  pools: readonly string[],
  name: string,
  use: KeyUse,
  deadline: Deadline,
): Promise<ClusterUser> {
  const entity = ownEntity(name);
  const keys = use.keys ?? kernelKeys(kernelTraits());
  const type = await keyTypeFor(use.types, keys, deadline);
  const there = await userThere(tools, name, deadline);
  const { user, isMade } =
    there === undefined ? await createFor(tools, pools, name, type, deadline) : { user: there, isMade: false };
  if (!isMade) refuseForbiddenKey(user, use.types);
  try {
    await refuseUnusableKey(user, keys, deadline);
  } catch (error) {
    if (!isMade || !hasCode(error, 'kernel-unsupported')) throw error;
    const isRemoved = await tools.ceph(['auth', 'rm', entity], deadline.forCleanUp()).then(
      () => true,
      () => false,
    );
    throw madeUnusable(entity, isRemoved, error);
  }
  return user;
}

/** The cluster does not show that it knows types, and yet makes keys of the other one. */
function madeUnusable(entity: string, isRemoved: boolean, error: RbdsrError): RbdsrError {
  const left = isRemoved ? 'which has removed it again' : `which could not remove it again: \`ceph auth rm ${entity}\``;
  return new RbdsrError(error.code, {
    ...error.detail,
    what: `${error.detail.what}; the cluster made it so for RBDSR, ${left}`,
    todo: 'On a monitor: `ceph mon set auth_preferred_cipher aes` makes new keys be of type aes; `ceph mon dump` shows what is set.',
  });
}

async function userThere(
  tools: Pick<CephTools, 'ceph'>,
  name: string,
  deadline: Deadline,
): Promise<ClusterUser | undefined> {
  try {
    return decodeUser(await tools.ceph(['auth', 'get', ownEntity(name), '--format', 'json'], deadline), name);
  } catch (error) {
    if (exitErrno(error) === 'ENOENT') return undefined;
    throw error;
  }
}

interface Created {
  readonly user: ClusterUser;
  /** False for one that somebody else has made meanwhile. */
  readonly isMade: boolean;
}

/** An account on the monitor may be allowed to make users as they were before they could unfence, and no others. */
async function createFor(
  tools: Pick<CephTools, 'ceph'>,
  pools: readonly string[],
  name: string,
  type: KeyType | undefined,
  deadline: Deadline,
): Promise<Created> {
  try {
    return await create(tools, poolCapabilities(pools), name, type, deadline);
  } catch (error) {
    if (!hasCode(error, 'sudo-refused')) throw error;
    return create(tools, leastCapabilities(pools), name, type, deadline);
  }
}

/**
 * EINVAL may mean that another host has made the user meanwhile, with other capabilities; or, with a type, that the
 * monitors do not make it: for some seconds after auth_allowed_ciphers was changed, or a leader was elected, they do
 * not yet (ceph `src/mon/AuthMonitor.cc`, check_health).
 */
async function create(
  tools: Pick<CephTools, 'ceph'>,
  capabilities: readonly string[],
  name: string,
  type: KeyType | undefined,
  deadline: Deadline,
): Promise<Created> {
  const typed = type === undefined ? [] : ['--key-type', type];
  const argv = ['auth', 'get-or-create', ...typed, ownEntity(name), ...capabilities, '--format', 'json'];
  let refusal: unknown;
  const attempt = async (): Promise<Created | undefined> => {
    try {
      const user = decodeUser(await tools.ceph(argv, deadline), name);
      // Of another type than was asked for is only one that somebody else has made since it was looked for.
      return { user, isMade: type === undefined || keyTypeOf(user.key) === type };
    } catch (error) {
      if (exitErrno(error) !== 'EINVAL') throw error;
      refusal = error;
    }
    const there = await userThere(tools, name, deadline);
    if (there !== undefined) return { user: there, isMade: false };
    if (type === undefined) throw refusal;
    return undefined;
  };
  try {
    const patience = Math.min(NEW_LEADER_MS, deadline.leftMs / 2);
    return await deadline.within(patience).until(attempt, 'the monitors to make the key', 1000);
  } catch (error) {
    if (!hasCode(error, 'deadline') || refusal === undefined || type === undefined) throw error;
    throw typeRefused(type, refusal);
  }
}

/** The change is committed, a leader elected, and its next tick is at most 5 s away (mon_tick_interval). */
const NEW_LEADER_MS = 20_000;

function typeRefused(type: KeyType, refusal: unknown): RbdsrError {
  const detail = refusal instanceof RbdsrError ? refusal.detail : undefined;
  return new RbdsrError('cluster-incompatible', {
    what: `the monitors do not make a cephx key of type ${type}, although they allow such keys`,
    ...(detail?.found === undefined ? {} : { found: detail.found }),
    todo: 'On a monitor: `ceph config get mon mon_auth_allow_insecure_key` says whether they may make one; `ceph config rm mon mon_auth_allow_insecure_key` lets them wherever auth_allowed_ciphers has the type.',
    facts: { keyType: type },
    cause: refusal,
  });
}
