import { clusterAccess, type ClusterAccess } from '../ceph/cluster/access.ts';
import { formatMonitors, kernelAddresses } from '../ceph/cluster/monitors.ts';
import { describeKeyTypes, refuseForbiddenKey } from '../ceph/control/cluster-key-types.ts';
import { OWN_USER_PREFIX, poolsOfImage } from '../ceph/control/own-user.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import { krbdOf } from '../sr/image/krbd-of-host.ts';
import { srOf } from '../sr/work/subject.ts';
import type { SrWork } from '../sr/work/work.ts';
import { keepAccess } from './kept-access.ts';

export interface MonitorQuestion {
  readonly spec: ImageSpec;
  /** With the cephx user that was typed beside the SSH user, at these monitors. */
  readonly typed: ((monitors: string) => Promise<ClusterAccess>) | undefined;
  /** Is told of the cephx user that the cluster is about to be asked for. */
  readonly making: (name: string) => void;
}

/**
 * The one time that an SR needs SSH: the whole monitor map, and a cephx user, which is the typed one, else one for this
 * SR and its pools only. Both are kept.
 */
export async function askMonitor(work: SrWork, host: MonitorHost, question: MonitorQuestion): Promise<ClusterAccess> {
  const { spec, typed, making } = question;
  work.waiting('the monitor to name all monitors of its cluster');
  const { monitors: map, keyTypes } = await host.facts(work.deadline);
  work.log.info(`SR ${srOf(work)}: ${describeKeyTypes(keyTypes)}`);
  const monitors = formatMonitors(kernelAddresses(map));
  const hostKey = host.connection.hostKey.line;
  if (typed !== undefined) {
    const access = await typed(monitors);
    refuseForbiddenKey(access, keyTypes);
    return keepAccess(work, access, { ownUser: false, hostKey });
  }
  const name = `${OWN_USER_PREFIX}${srOf(work)}`;
  const pools = await poolsOfImage(host, spec, work.deadline);
  work.waiting(`the monitor to make the cephx user client.${name}`);
  making(name);
  const use = { keys: krbdOf(work).keys, types: keyTypes };
  const { user, key } = await host.ensureUser(pools, name, work.deadline, use);
  work.log.info(`SR ${srOf(work)} uses the cephx user client.${user}, which may use ${pools.join(' and ')} only`);
  return keepAccess(work, clusterAccess({ monitors, user, key }), { ownUser: true, hostKey });
}
