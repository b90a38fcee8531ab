import { hasCode } from '../base/error.ts';
import { formatSpec, sameSpec } from '../ceph/image/image-spec.ts';
import { krbdOf } from '../sr/image/krbd-of-host.ts';
import { attachedSrs } from '../sr/attached-srs.ts';
import { driverSrs, withLocalXapi } from '../access/driver-srs.ts';
import type { Host } from './host.ts';

export interface PluggedSr {
  readonly uuid?: string;
  /** For people: name, uuid, PBD or device. */
  readonly label: string;
}

/**
 * The SRs that RBDSR drives and that are plugged on this host: xapi's word, or, where xapi cannot tell because it does
 * not run or its pool master does not answer, the mapped images, with the uuid of the SR that sr_attach recorded.
 */
export async function pluggedSrs(host: Host): Promise<readonly PluggedSr[]> {
  try {
    return await withLocalXapi(host.root, async (xapi, hostRef) =>
      (await driverSrs(xapi, hostRef))
        .filter(({ pbd }) => pbd.currentlyAttached)
        .map(({ sr, pbd }) => ({ uuid: sr.uuid, label: `"${sr.nameLabel}" (SR ${sr.uuid}, PBD ${pbd.uuid})` })),
    );
  } catch (error) {
    if (!hasCode(error, 'xapi-unreachable', 'xapi-failure', 'deadline')) throw error;
    return mappedImages(host);
  }
}

function mappedImages(host: Host): readonly PluggedSr[] {
  const records = attachedSrs(host.root);
  return krbdOf(host)
    .list()
    .map((mapping) => {
      const record = records.find(({ spec }) => sameSpec(spec, mapping.spec));
      const image = `${mapping.device}, image ${formatSpec(mapping.spec)}`;
      return record === undefined
        ? { label: `${image} (no SR is recorded for it, and xapi cannot tell)` }
        : { uuid: record.uuid, label: `SR ${record.uuid} (${image})` };
    });
}
