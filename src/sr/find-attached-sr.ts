import { hasCode } from '../base/error.ts';
import { type ImageSpec, sameSpec } from '../ceph/image/image-spec.ts';
import { srSmConfig } from '../xapi/sr.ts';
import { type AttachedSr, attachedSr } from './attached-sr.ts';
import { notedSr } from './open-attached-sr.ts';
import type { SrWork } from './work/work.ts';
import { krbdOf } from './image/krbd-of-host.ts';
import { fsidOf } from './config/fsid-key.ts';
import { imageSpecOf, type SrConfig } from './config/sr-type.ts';
import { srOf } from './work/subject.ts';

/**
 * The SR of the call for commands that take something down, also where the record of its attach is gone: then the
 * kernel says whether the image that device_config names (`configure`) is mapped, and LVM whether it holds this SR.
 * Undefined where it is not: then no volume of it is active here.
 */
export async function findAttachedSr(
  work: SrWork,
  configure: () => Promise<SrConfig>,
): Promise<AttachedSr | undefined> {
  const uuid = srOf(work);
  const noted = notedSr(work, uuid);
  if (noted !== undefined) {
    return noted.mapping === undefined ? undefined : attachedSr(work, uuid, noted.mapping, noted.record);
  }
  const wanted = await configured(configure);
  if (
    wanted === undefined ||
    !krbdOf(work)
      .list()
      .some(({ spec }) => sameSpec(spec, wanted.spec))
  )
    return undefined;
  const { srRef } = work.subject;
  const smConfig = srRef === undefined ? {} : await srSmConfig(await work.xapi(), srRef);
  const mapping = krbdOf(work).find(wanted.spec, fsidOf(smConfig));
  if (mapping === undefined) return undefined;
  const allocation = smConfig['allocation'] === 'thin' ? 'thin' : wanted.config.allocation;
  const sr = attachedSr(work, uuid, mapping, { spec: wanted.spec, allocation });
  work.waiting(`LVM to read ${sr.vg}`);
  if ((await sr.lvm.report()) === undefined) return undefined;
  work.log.warn(`SR ${uuid}: the record of its attach is gone; found its image at ${mapping.device}`);
  return sr;
}

/** A PBD whose device_config nobody understands has never been plugged. */
async function configured(
  configure: () => Promise<SrConfig>,
): Promise<{ readonly config: SrConfig; readonly spec: ImageSpec } | undefined> {
  try {
    const config = await configure();
    return { config, spec: imageSpecOf(config) };
  } catch (error) {
    if (hasCode(error, 'config-missing', 'config-invalid', 'image-unmappable')) return undefined;
    throw error;
  }
}
