import type { Deadline } from '../../base/deadline.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { formatMonitor } from '../cluster/monitors.ts';
import type { MonitorAddress } from '../cluster/monitors.ts';
import { resolveMonitors } from '../cluster/resolve-monitors.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import type { KrbdHost, MapRequest } from './krbd-host.ts';
import { listMappings } from './krbd-sysfs.ts';
import { findCandidates, onlyMapping, unknownCluster } from './mapping.ts';
import type { ClusterIdentity, Mapping } from './mapping.ts';

/** What of an image is mapped on this host already. */
export interface Look {
  readonly adopted?: Mapping;
  /** Mappings of this name of which only a new mapping's fsid can tell whether they are ours. */
  readonly unsure: readonly Mapping[];
  readonly monitors: readonly MonitorAddress[];
}

/** 'device-ambiguous' where it cannot be told whether a mapping is of this cluster. */
export async function look(
  host: KrbdHost,
  access: ClusterAccess,
  spec: ImageSpec,
  request: MapRequest,
  deadline: Deadline,
): Promise<Look> {
  const mappings = listMappings(host.roots);
  if (request.fsid !== undefined) {
    const adopted = onlyMapping(spec, findCandidates(mappings, spec, { fsid: request.fsid }).ours);
    if (adopted !== undefined) return { adopted, unsure: [], monitors: [] };
  }
  const monitors = await resolveMonitors(access.monitors, deadline);
  const cluster: ClusterIdentity = {
    ...(request.fsid === undefined ? {} : { fsid: request.fsid }),
    monitors: monitors.map(formatMonitor),
  };
  const { ours, unsure } = findCandidates(mappings, spec, cluster);
  const adopted = onlyMapping(spec, ours);
  if (adopted !== undefined) return { adopted, unsure: [], monitors };
  const nameless = unsure.find((mapping) => mapping.fsid === undefined);
  if (nameless !== undefined) throw unknownCluster(spec, nameless, cluster);
  return { unsure, monitors };
}
