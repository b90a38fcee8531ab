import { hasCode, RbdsrError } from '../base/error.ts';
import type { Secret } from '../base/secret.ts';
import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import { refuseUnusableKey } from '../ceph/krbd/kernel-keys.ts';
import type { CephxLogin, PasswordSource } from '../sr/config/wizard-config.ts';
import { krbdOf } from '../sr/image/krbd-of-host.ts';
import type { SrWork } from '../sr/work/work.ts';
import { secretByUuid } from '../xapi/secret.ts';

/**
 * With a cephx user and key that a person has typed. 'invalid-secret' for what is no key, 'kernel-unsupported' for one
 * that this host could not use: at once, before anybody is asked.
 */
export async function typedAccess(
  work: SrWork,
  monitors: string,
  { user, key }: CephxLogin,
  field: string,
): Promise<ClusterAccess> {
  const typed = await passwordOf(work, key);
  const access = accessBy(monitors, user, typed, field);
  await refuseUnusableKey(access, krbdOf(work).keys, work.deadline);
  return access;
}

function accessBy(monitors: string, user: string, key: Secret, field: string): ClusterAccess {
  try {
    return clusterAccess({ monitors, user, key });
  } catch (error) {
    if (!hasCode(error, 'invalid-secret')) throw error;
    throw new RbdsrError(error.code, {
      ...error.detail,
      what: `device-config ${field}: ${error.detail.what}`,
      todo: `\`ceph auth get-key client.${user}\` prints it. A user of the monitor's host, with a password, is typed without "client.".`,
    });
  }
}

export async function passwordOf(work: Pick<SrWork, 'xapi'>, source: PasswordSource): Promise<Secret> {
  return source.kind === 'key' ? source.key : secretByUuid(await work.xapi(), source.uuid, 'chappassword_secret');
}
