import { isOlder } from '../../system/kernel.ts';

/** A feature of the Ceph protocol that a cluster may require of its clients, and what makes it stop requiring it. */
export interface ClusterFeature {
  readonly bit: bigint;
  readonly name: string;
  /** The first Linux release that has it. */
  readonly since: string;
  /** The command that lets older clients in. */
  readonly command: string;
}

/**
 * Tunables say of what type new buckets are; those that are there have to be edited, and data move (ceph
 * `doc/rados/operations/crush-map-edits.rst`).
 */
const STRAW =
  "ceph osd getcrushmap -o map && crushtool -d map -o text && sed -i 's/alg straw2/alg straw/' text && crushtool -c text -o map && ceph osd setcrushmap -i map";

/** ceph `src/include/ceph_features.h`; the releases are those of the kernel's `include/linux/ceph/ceph_features.h`. */
const CLUSTER_FEATURES: readonly ClusterFeature[] = [
  feature(18n, 'CRUSH_TUNABLES', '3.6', 'ceph osd crush tunables legacy'),
  feature(25n, 'CRUSH_TUNABLES2', '3.9', 'ceph osd crush tunables argonaut'),
  feature(30n, 'OSDHASHPSPOOL', '3.9', 'ceph osd pool set POOL hashpspool false'),
  feature(35n, 'OSD_CACHEPOOL', '3.14', 'ceph osd tier remove POOL CACHEPOOL'),
  feature(36n, 'CRUSH_V2', '3.14', 'ceph osd crush tunables bobtail'),
  feature(41n, 'CRUSH_TUNABLES3', '3.15', 'ceph osd crush tunables bobtail'),
  feature(48n, 'CRUSH_V4 (straw2)', '4.1', STRAW),
  feature(58n, 'CRUSH_TUNABLES5', '4.5', 'ceph osd crush tunables hammer'),
  feature(21n, 'SERVER_LUMINOUS', '4.13', 'ceph osd set-require-min-compat-client jewel'),
  feature(61n, 'CEPHX_V2', '4.19', 'ceph config set global cephx_require_version 1'),
];

export const MIN_COMPAT_CLIENT = 'ceph osd set-require-min-compat-client jewel';

/** The features in a mask the kernel printed as missing; what has no name here is left to the general command. */
export function clusterFeatures(missing: bigint): readonly ClusterFeature[] {
  return CLUSTER_FEATURES.filter(({ bit }) => (missing & bit) !== 0n);
}

/** Those a kernel lacks, for a cluster that does not say which it wants. */
export function featuresLackedBy(release: string): readonly ClusterFeature[] {
  return CLUSTER_FEATURES.filter(({ since }) => isOlder(release, since));
}

function feature(shift: bigint, name: string, since: string, command: string): ClusterFeature {
  return { bit: 1n << shift, name, since, command };
}
