import type { ClusterAccess } from '../../ceph/cluster/access.ts';
import { formatSpec, type ImageSpec } from '../../ceph/image/image-spec.ts';
import type { MapRequest } from '../../ceph/krbd/krbd-host.ts';
import type { MapResult } from '../../ceph/krbd/map-image.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { formatMonitors } from '../../ceph/cluster/monitors.ts';
import { blankEnds, type Survey, surveyDevice } from '../../lvm/pv-label.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import type { SrWork } from '../work/work.ts';
import { krbdOf } from './krbd-of-host.ts';
import type { SrConfig } from '../config/sr-type.ts';

/** Maps an image for one command. Where it was mapped before, it is somebody's, and stays. */
export async function mapForCall(
  work: SrWork,
  access: ClusterAccess,
  config: Pick<SrConfig, 'options'>,
  spec: ImageSpec,
  more: Pick<MapRequest, 'fsid' | 'sizeBytes' | 'readOnly'> = {},
): Promise<MapResult> {
  work.waiting(`the cluster to map ${formatSpec(spec)} through ${formatMonitors(access.monitors)}`);
  return krbdOf(work).map(access, spec, { options: config.options, ...more }, work.deadline);
}

/** What is on the image; reads its two ends. */
export async function surveyMapped(work: SrWork, { device, spec }: Mapping): Promise<Survey> {
  work.waiting(`the first and last 16 MiB of ${formatSpec(spec)}`);
  const io = await openBlockIo(device, 'read');
  try {
    return await surveyDevice(io);
  } finally {
    await io.close();
  }
}

/** Zeroes both ends of an image whose volume group has just been removed: sr_create takes a blank one only. */
export async function blankMapped(work: SrWork, { device, spec }: Mapping): Promise<void> {
  work.waiting(`the first and last 16 MiB of ${formatSpec(spec)}`);
  const io = await openBlockIo(device, 'write');
  try {
    await blankEnds(io);
  } finally {
    await io.close();
  }
}
