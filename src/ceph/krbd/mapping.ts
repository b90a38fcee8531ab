import { RbdsrError } from '../../base/error.ts';
import { formatSpec, sameSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';

/** One image mapped on this host, as the kernel shows it. */
export interface Mapping {
  /** N of `/dev/rbdN` and of `/sys/bus/rbd/devices/N`. */
  readonly index: number;
  /** `/dev/rbd0`. */
  readonly device: string;
  readonly major: number;
  readonly minor: number;
  readonly spec: ImageSpec;
  /** The cluster; absent where neither sysfs nor debugfs tells. */
  readonly fsid?: string;
  /** `client4123`: this mapping's client in the cluster, what fencing names by its address. */
  readonly clientId?: string;
  /** `10.0.0.5:0/123456789`. */
  readonly clientAddress?: string;
  /** Bytes. */
  readonly sizeBytes: number;
  /** Feature bits; absent on images of format 1, which show none. */
  readonly features?: number;
  /** `host:port` of the monitors, from debugfs or the line the mapping was made with; empty where neither tells. */
  readonly monitors: readonly string[];
  /** The line the mapping was made with, without a key (`secret=***`). */
  readonly configInfo?: string;
}

/** Which cluster a mapping has to belong to: its fsid, or else one of its monitors' addresses. */
export interface ClusterIdentity {
  readonly fsid?: string;
  /** `host:port`, as formatMonitor writes it. */
  readonly monitors?: readonly string[];
}

/** Mappings of this name in our cluster, and those of which that cannot be said. */
export interface Candidates {
  readonly ours: readonly Mapping[];
  readonly unsure: readonly Mapping[];
}

/**
 * The one mapping of exactly this image, or undefined. 'device-ambiguous' when there are several, or when the only
 * candidates cannot be told apart from an image of the same name in another cluster: acting on a guess could format
 * somebody else's disk.
 */
export function selectMapping(
  mappings: readonly Mapping[],
  spec: ImageSpec,
  cluster: ClusterIdentity = {},
): Mapping | undefined {
  const { ours, unsure } = findCandidates(mappings, spec, cluster);
  const one = onlyMapping(spec, ours);
  const [doubtful] = unsure;
  if (one === undefined && doubtful !== undefined) throw unknownCluster(spec, doubtful, cluster);
  return one;
}

export function findCandidates(mappings: readonly Mapping[], spec: ImageSpec, cluster: ClusterIdentity): Candidates {
  const named = mappings.filter((mapping) => sameSpec(mapping.spec, spec));
  return {
    ours: named.filter((mapping) => belongsTo(mapping, cluster) === 'yes'),
    unsure: named.filter((mapping) => belongsTo(mapping, cluster) === 'unknown'),
  };
}

/** The single element, or undefined when there is none. 'device-ambiguous' for more. */
export function onlyMapping(spec: ImageSpec, mappings: readonly Mapping[]): Mapping | undefined {
  if (mappings.length > 1) throw several(spec, mappings);
  return mappings[0];
}

function belongsTo(mapping: Mapping, cluster: ClusterIdentity): 'yes' | 'no' | 'unknown' {
  if (cluster.fsid !== undefined && mapping.fsid !== undefined) return cluster.fsid === mapping.fsid ? 'yes' : 'no';
  // Two lists without a common address may still be one cluster: some monitors of it in each.
  if (cluster.monitors?.some((monitor) => mapping.monitors.includes(monitor)) === true) return 'yes';
  return cluster.fsid === undefined && cluster.monitors === undefined ? 'yes' : 'unknown';
}

function several(spec: ImageSpec, mappings: readonly Mapping[]): RbdsrError {
  const devices = mappings.map((mapping) => `${mapping.device} (cluster ${mapping.fsid ?? 'unknown'})`).join(', ');
  return new RbdsrError('device-ambiguous', {
    what: `image ${formatSpec(spec)} is mapped more than once on this host`,
    expected: 'one mapping',
    found: devices,
    todo: 'Unmap those that nothing uses: `rbdsr mappings` explains each, and how to remove it.',
    facts: { devices: mappings.map((mapping) => mapping.device).join(',') },
  });
}

/** 'device-ambiguous': nothing tells whether this is ours. */
export function unknownCluster(spec: ImageSpec, mapping: Mapping, cluster: ClusterIdentity): RbdsrError {
  return new RbdsrError('device-ambiguous', {
    what: `${mapping.device} is an image called ${formatSpec(spec)}, but this kernel does not tell of which cluster`,
    expected:
      cluster.fsid === undefined
        ? `a cluster with a monitor of ${cluster.monitors?.join(', ') ?? 'ours'}`
        : `cluster ${cluster.fsid}`,
    found: mapping.fsid === undefined ? 'no fsid' : `cluster ${mapping.fsid}, with other monitors`,
    todo:
      mapping.fsid === undefined
        ? 'Mount debugfs (`mount -t debugfs none /sys/kernel/debug`), or unmap the device if nothing uses it.'
        : 'Name the cluster by more of its monitors, or unmap the device if nothing uses it.',
    facts: { device: mapping.device },
  });
}
