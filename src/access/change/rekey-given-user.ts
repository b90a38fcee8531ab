import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import type { Secret } from '../../base/secret.ts';
import { type ClusterAccess, clusterAccess } from '../../ceph/cluster/access.ts';
import { refuseUnusableKey } from '../../ceph/krbd/kernel-keys.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { planeOnHost } from '../plane-on-host.ts';
import type { PoolSr } from '../pool-sr.ts';
import { givenToPbdsSteps, userOf } from './given-to-pbds.ts';
import { givenToSrSteps } from './given-to-sr.ts';

export interface GivenUser {
  /** With or without `client.`; the one of now where left out. */
  readonly user?: string;
  readonly key: Secret;
}

export interface Given {
  readonly user: string;
  /** The cluster let this user open the image; false where nobody on this host can ask it as this user. */
  readonly tried: boolean;
}

/**
 * Makes the SR use this cephx user and key. 'invalid-secret' for what is no key, 'kernel-unsupported' for one that this
 * host cannot use, 'cluster-auth' where the cluster refuses it: then nothing is changed.
 */
export async function rekeyGivenUser(
  root: string,
  xapi: Xapi,
  poolSr: PoolSr,
  { user, key }: GivenUser,
  deadline: Deadline,
): Promise<Given> {
  const before = poolSr.kind === 'rbd' ? await ofPbds(xapi, poolSr) : await ofSr(xapi, poolSr);
  const access = clusterAccess({ monitors: before.monitors, user: user ?? before.user, key });
  await refuseUnusableKey(access, krbdAt(root).keys, deadline);
  const tried = await tryAccess(root, access, poolSr, deadline);
  await before.change(access);
  return { user: access.user, tried };
}

/** The user and the monitors of now, and how another user is written. */
interface Before {
  readonly monitors: string;
  readonly user: string;
  change(access: ClusterAccess): Promise<void>;
}

async function ofPbds(xapi: Xapi, { sr, pbds }: PoolSr): Promise<Before> {
  const config = pbds[0]?.deviceConfig ?? {};
  return {
    monitors: config['monitors'] ?? '',
    user: userOf(config),
    change: ({ user, key }) => runSteps(givenToPbdsSteps, { xapi, sr, pbds, user, key }),
  };
}

async function ofSr(xapi: Xapi, { sr, pbds, kept }: PoolSr): Promise<Before> {
  if (kept === undefined) {
    throw new RbdsrError('config-missing', {
      what: `SR ${sr.uuid} keeps no monitors yet, because it was never plugged since it was introduced`,
      todo: 'Plug it once, or leave out --key-stdin: then a user of its own is made over SSH.',
    });
  }
  return {
    monitors: kept.monitors,
    user: kept.user,
    change: ({ user, key }) => runSteps(givenToSrSteps, { xapi, sr, pbds, user, key }),
  };
}

/** By opening the image, as far as anybody on this host can. */
async function tryAccess(
  root: string,
  access: ClusterAccess,
  { sr, spec }: PoolSr,
  deadline: Deadline,
): Promise<boolean> {
  if (spec === undefined) return false;
  try {
    using plane = await planeOnHost(root, access, deadline);
    await plane.imageInfo(spec, deadline);
    return true;
  } catch (error) {
    if (hasCode(error, 'cluster-incompatible', 'control-plane-missing')) return false;
    if (!(error instanceof RbdsrError)) throw error;
    throw new RbdsrError(error.code, {
      ...error.detail,
      what: `SR ${sr.uuid} keeps its key: the new one does not open its image: ${error.detail.what}`,
    });
  }
}
