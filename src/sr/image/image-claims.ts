import { hasCode, RbdsrError } from '../../base/error.ts';
import { formatSpec, type ImageSpec } from '../../ceph/image/image-spec.ts';
import { parseMonitors } from '../../ceph/cluster/monitors.ts';
import { allPbds } from '../../xapi/pbd.ts';
import type { SrWork } from '../work/work.ts';
import type { StringMap } from '../../xapi/values.ts';

/** 'sr-in-use' where a PBD of another SR, of either type, names the same image by a host of the same cluster. */
export async function refuseImageOfAnotherSr(work: SrWork, spec: ImageSpec, deviceConfig: StringMap): Promise<void> {
  const { srRef } = work.subject;
  const ours = claimOf(deviceConfig);
  for (const pbd of await allPbds(await work.xapi())) {
    const theirs = claimOf(pbd.deviceConfig);
    if (pbd.sr === srRef || theirs.pool !== spec.pool || theirs.image !== spec.image) continue;
    if ((theirs.namespace ?? '') !== (spec.namespace ?? '')) continue;
    if (!theirs.hosts.some((host) => ours.hosts.includes(host))) continue;
    throw new RbdsrError('sr-in-use', {
      what: `image ${formatSpec(spec)} belongs to another SR of this pool`,
      found: `PBD ${pbd.uuid}`,
      todo: 'Two SRs on one image destroy each other. Choose another image.',
    });
  }
}

interface Claim {
  readonly pool?: string | undefined;
  readonly namespace?: string | undefined;
  readonly image?: string | undefined;
  readonly hosts: readonly string[];
}

/**
 * Which image a device_config means, under the names of type `rbd` or under those of an iSCSI SR with a monitor's port.
 */
function claimOf(config: StringMap): Claim {
  if (config['port'] === '6789') {
    return { pool: config['targetIQN'], image: config['SCSIid'], hosts: monitorHosts(config['target']) };
  }
  const { pool, namespace, image } = config;
  return { pool, namespace, image, hosts: monitorHosts(config['monitors']) };
}

/**
 * Without ports: one host is one cluster's. However the list is written (monitors.ts); what is none names nobody's
 * image. Pure.
 */
export function monitorHosts(text = ''): readonly string[] {
  try {
    return parseMonitors(text).map(({ host }) => host);
  } catch (error) {
    if (hasCode(error, 'config-invalid')) return [];
    throw error;
  }
}
