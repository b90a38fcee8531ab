import type { ClusterAccess } from '../ceph/access.ts';
import { formatSpec, type ImageSpec } from '../ceph/image-spec.ts';
import type { Mapping } from '../ceph/mapping.ts';
import { type Survey, surveyDevice } from '../lvm/pv-label.ts';
import { openBlockIo } from '../system/block-device.ts';
import type { DeviceConfig } from './device-config.ts';
import type { SmCall } from './handler.ts';
import { krbdOf } from './krbd-of-host.ts';

/** An image that a command maps for itself. `isNew` is false where it was mapped before: then it is somebody's, and stays. */
export interface MappedForCall {
  readonly mapping: Mapping;
  readonly isNew: boolean;
}

export async function mapForCall(
  call: SmCall,
  access: ClusterAccess,
  config: DeviceConfig,
  spec: ImageSpec,
  expected: { readonly fsid?: string; readonly sizeBytes?: number } = {},
): Promise<MappedForCall> {
  const krbd = krbdOf(call);
  const before = new Set(krbd.list().map(({ index }) => index));
  call.waiting(`the cluster to map ${formatSpec(spec)} through ${config.monitorsText}`);
  const mapping = await krbd.map(access, spec, { options: config.options, ...expected }, call.deadline);
  return { mapping, isNew: !before.has(mapping.index) };
}

/** What is on the image; reads its two ends. */
export async function surveyMapped(call: SmCall, { device, spec }: Mapping): Promise<Survey> {
  call.waiting(`the first and last 16 MiB of ${formatSpec(spec)}`);
  const io = await openBlockIo(device, 'read');
  try {
    return await surveyDevice(io);
  } finally {
    await io.close();
  }
}
