import { RbdsrError } from '../../base/error.ts';
import { clusterFeatures, featuresLackedBy, MIN_COMPAT_CLIENT } from './cluster-features.ts';
import type { KernelTraits } from './kernel-traits.ts';

/**
 * Monitors that speak only msgr v2 to a kernel that speaks only msgr v1. Also found before mapping, by
 * monitor-survey.ts.
 */
export function msgr2Only(monitors: string, kernel: KernelTraits): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the monitors at ${monitors} speak only msgr v2`,
    expected: kernel.msMode
      ? 'the map option ms_mode to fit the monitors'
      : 'msgr v1, normally at port 6789: the kernel speaks msgr v2 from Linux 5.11 on',
    found: `Linux ${kernel.release}`,
    todo: 'On the cluster: `ceph config set mon ms_bind_msgr1 true`, `ceph mon enable-msgr2`, and restart the monitors; the OSDs need ms_bind_msgr1 too. If msgr v1 is on already, name its port.',
    facts: { monitors, setting: 'ms_bind_msgr1' },
  });
}

/** The other way round: ms_mode asks for msgr v2 where only msgr v1 is spoken. */
export function msgr1Only(monitors: string): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the monitors at ${monitors} speak only msgr v1 at these ports, but the map option ms_mode asks for msgr v2`,
    expected: 'monitors named with the port of msgr v2, normally 3300',
    todo: 'Take ms_mode out of device-config options, or name the msgr v2 ports; on the cluster, `ceph mon enable-msgr2` turns msgr v2 on.',
    facts: { monitors, setting: 'enable-msgr2' },
  });
}

/** Features of the protocol that the cluster demands; 0 when the kernel named none. */
export function featureMismatch(kernel: KernelTraits, missing: bigint): RbdsrError {
  const known = missing === 0n ? featuresLackedBy(kernel.release) : clusterFeatures(missing);
  const names = known.map(({ name, since }) => `${name} (Linux ${since})`);
  const commands = [...new Set([...known.map(({ command }) => command), MIN_COMPAT_CLIENT])];
  const mask = missing === 0n ? 'features the kernel does not name' : `0x${missing.toString(16)}`;
  return new RbdsrError('cluster-incompatible', {
    what: "the cluster requires features that this host's kernel does not have (feature set mismatch)",
    expected: expectation(missing, mask, names.join(', ')),
    found: `Linux ${kernel.release}`,
    todo: `On the cluster, one of: ${commands.map((command) => `\`${command}\``).join(', ')}; or a host with a newer kernel.`,
    facts: { missing: mask, setting: 'require_min_compat_client' },
  });
}

function expectation(missing: bigint, mask: string, names: string): string {
  if (names === '') return mask;
  return missing === 0n ? `${mask}; it lacks ${names}` : `${names}, mask ${mask}`;
}

/** A map of the cluster that the kernel cannot read, whatever features it has. */
export function mapUndecodable(kernel: KernelTraits): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: "this host's kernel cannot decode the map of the cluster (corrupt osdmap or monmap)",
    expected:
      'a map without what no kernel decodes, or not this one: CRUSH rules of type MSR (since Squid), pg-upmap-primary entries (since Reef)',
    found: `Linux ${kernel.release}`,
    todo: 'On the cluster, `ceph osd crush rule dump` shows rules of type msr_firstn and msr_indep (`ceph osd crush rule rm RULE`), `ceph osd dump` lines pg_upmap_primary (`ceph osd rm-pg-upmap-primary PG`, each). `ceph osd set-require-min-compat-client` alone takes neither away.',
    facts: { setting: 'osdmap' },
  });
}
