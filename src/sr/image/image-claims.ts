import { hasCode, RbdsrError } from '../../base/error.ts';
import { formatSpec, type ImageSpec, sameSpec } from '../../ceph/image/image-spec.ts';
import { parseMonitors } from '../../ceph/cluster/monitors.ts';
import { allPbds } from '../../xapi/pbd.ts';
import { choiceOf, chosenImage } from '../config/image-choice.ts';
import type { SrWork } from '../work/work.ts';
import type { StringMap } from '../../xapi/values.ts';

/** 'sr-in-use' where a PBD of another SR, of either type, names the same image by a host of the same cluster. */
export async function refuseImageOfAnotherSr(work: SrWork, spec: ImageSpec, deviceConfig: StringMap): Promise<void> {
  const { srRef } = work.subject;
  const hosts = monitorHosts(choiceOf(deviceConfig).monitors);
  for (const pbd of await allPbds(await work.xapi())) {
    const choice = choiceOf(pbd.deviceConfig);
    const theirs = chosenImage(choice);
    if (pbd.sr === srRef || theirs === undefined || !sameSpec(theirs, spec)) continue;
    if (!monitorHosts(choice.monitors).some((host) => hosts.includes(host))) continue;
    throw new RbdsrError('sr-in-use', {
      what: `image ${formatSpec(spec)} belongs to another SR of this pool`,
      found: `PBD ${pbd.uuid}`,
      todo: 'Two SRs on one image destroy each other. Choose another image.',
    });
  }
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
