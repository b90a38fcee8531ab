import type { Deadline } from '../base/deadline.ts';
import type { ClusterAccess } from '../ceph/cluster/access.ts';
import type { UserPlane } from '../ceph/control/user-plane.ts';
import { hostPaths } from '../dom0/host-profile.ts';
import { createSmLog } from '../system/sm-log.ts';

/** The control plane as this user, for an operator's command, which closes it. openUserPlane's failures. */
export async function planeOnHost(root: string, access: ClusterAccess, deadline: Deadline): Promise<UserPlane> {
  const { openUserPlane } = await import('../ceph/control/user-plane.ts');
  const { runDir, smLog, noLogFlag } = hostPaths(root, '');
  return openUserPlane(access, { runDir, log: createSmLog(smLog, 'RBDSR', noLogFlag) }, deadline);
}
