import { hasCode } from '../base/error.ts';
import { type ImageSpec, sameSpec } from '../ceph/image/image-spec.ts';
import { srSmConfig } from '../xapi/sr.ts';
import { readAttachedRecord } from './attached-record.ts';
import { type AttachedSr, attachedSr, srOf } from './attached-sr.ts';
import type { SmCall } from './handler.ts';
import { krbdOf } from './krbd-of-host.ts';
import { imageSpecOf, type SrConfig } from './sr-type.ts';

/**
 * The SR of the call for commands that take something down, also where the record of its attach is gone: then the kernel says whether the image
 * that device_config names is mapped, and LVM whether it holds this SR. Undefined where it is not: then no volume of it is active here.
 */
export async function findAttachedSr(call: SmCall): Promise<AttachedSr | undefined> {
  const uuid = srOf(call);
  const record = readAttachedRecord(call.profile.paths, uuid);
  if (record !== undefined) {
    const mapping = krbdOf(call).find(record.spec, record.fsid);
    return mapping === undefined ? undefined : attachedSr(call, uuid, mapping, record);
  }
  const wanted = configured(call);
  if (
    wanted === undefined ||
    !krbdOf(call)
      .list()
      .some(({ spec }) => sameSpec(spec, wanted.spec))
  )
    return undefined;
  const { srRef } = call.request;
  const smConfig = srRef === undefined ? {} : await srSmConfig(await call.xapi(), srRef);
  const mapping = krbdOf(call).find(wanted.spec, smConfig['rbd_fsid']);
  if (mapping === undefined) return undefined;
  const allocation = smConfig['allocation'] === 'thin' ? 'thin' : wanted.config.allocation;
  const sr = attachedSr(call, uuid, mapping, { spec: wanted.spec, allocation });
  call.waiting(`LVM to read ${sr.vg}`);
  if ((await sr.lvm.report()) === undefined) return undefined;
  call.log.warn(`SR ${uuid}: the record of its attach is gone; found its image at ${mapping.device}`);
  return sr;
}

/** A PBD whose device_config nobody understands has never been plugged. */
function configured(call: SmCall): { readonly config: SrConfig; readonly spec: ImageSpec } | undefined {
  try {
    const config = call.srType.config(call.request.deviceConfig);
    return { config, spec: imageSpecOf(config) };
  } catch (error) {
    if (hasCode(error, 'config-missing', 'config-invalid', 'image-unmappable')) return undefined;
    throw error;
  }
}
