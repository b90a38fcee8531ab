import type { SrUuid } from '../../base/ids.ts';
import type { ClusterAccess } from '../../ceph/cluster/access.ts';
import type { ImageSpec } from '../../ceph/image/image-spec.ts';
import type { MapResult } from '../../ceph/krbd/map-image.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { attachedSr } from '../attached-sr.ts';
import type { SrConfig } from '../config/sr-type.ts';
import type { SrWork } from '../work/work.ts';
import { krbdOf } from './krbd-of-host.ts';
import { mapForCall } from './map-sr-image.ts';
import { isRefused } from './refused-image.ts';
import { releaseImage } from './release-image.ts';

/**
 * Maps the image of an SR that is being plugged. A mapping from before, to which the cluster answers with errors, is
 * let go first: that of a host that was fenced while the SR was plugged, and whose toolstack was restarted since, so
 * that xapi unplugs it no more. 'device-busy' where something of the SR is in use.
 */
export async function mapAnew(
  work: SrWork,
  uuid: SrUuid,
  access: ClusterAccess,
  config: Pick<SrConfig, 'options'>,
  spec: ImageSpec,
  more: { readonly fsid?: string },
): Promise<MapResult> {
  try {
    return await mapForCall(work, access, config, spec, more);
  } catch (error) {
    const refused = isRefused(error) ? krbdOf(work).find(spec, more.fsid) : undefined;
    if (refused === undefined) throw error;
    work.log.warn(`SR ${uuid}: the cluster answers ${refused.device} with errors: it is unmapped, and mapped anew`);
    const old = attachedSr(work, uuid, refused, { spec, allocation: 'thick' });
    await releaseImage(work, old);
    RefCounts.ofHost(work.profile.paths, uuid, work.deadline).reset();
    return mapForCall(work, access, config, spec, more);
  }
}
