import type { ClusterAccess } from '../ceph/cluster/access.ts';
import type { UserPlane } from '../ceph/control/user-plane.ts';
import type { SrWork } from '../sr/work/work.ts';

/** The control plane as the SR's own user, until the call is answered. openUserPlane's failures. */
export async function planeForCall(work: SrWork, access: ClusterAccess): Promise<UserPlane> {
  const { openUserPlane } = await import('../ceph/control/user-plane.ts');
  work.waiting(`the cluster to let client.${access.user} in`);
  const options = { runDir: work.profile.paths.runDir, log: work.log };
  const plane = await openUserPlane(access, options, work.deadline);
  work.atEnd(async () => plane[Symbol.dispose]());
  return plane;
}
