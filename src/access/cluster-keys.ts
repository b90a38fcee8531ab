import type { Deadline } from '../base/deadline.ts';
import { hasCode } from '../base/error.ts';
import { describeKeyTypes, keyTypeFor } from '../ceph/control/cluster-key-types.ts';
import type { KernelKeys } from '../ceph/krbd/kernel-keys.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';

/** What a cluster says of its cephx keys. */
export interface ClusterKeys {
  readonly says: string;
  /** Why no host with this kernel can have an image of it, and the commands that let it. */
  readonly problem?: string;
}

export async function clusterKeys(host: MonitorHost, keys: KernelKeys, deadline: Deadline): Promise<ClusterKeys> {
  const { keyTypes } = await host.facts(deadline);
  const says = describeKeyTypes(keyTypes);
  try {
    await keyTypeFor(keyTypes, keys, deadline);
    return { says };
  } catch (error) {
    if (!hasCode(error, 'cluster-incompatible')) throw error;
    return { says, problem: error.message };
  }
}
