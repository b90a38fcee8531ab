import { RbdsrError } from '../base/error.ts';
import { shellSpec } from '../ceph/image/features.ts';
import { formatSpec } from '../ceph/image/image-spec.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { srOfVg } from '../lvhd/names.ts';
import { lvmOf } from './attached-sr.ts';
import { surveyMapped } from './image/map-sr-image.ts';
import type { SrWork } from './work/work.ts';

/**
 * The volume group of an SR on its blank image. False where there was one of this SR already, without a volume: an
 * sr_create that was cut short. 'image-foreign' and 'sr-exists' for everything else.
 */
export async function makeVolumeGroup(
  work: SrWork,
  mapping: Mapping,
  vg: string,
  objectBytes?: number,
): Promise<boolean> {
  const lvm = lvmOf(work, mapping, vg);
  const survey = await surveyMapped(work, mapping);
  if (survey.kind === 'foreign') throw foreign(mapping, survey.what, survey.offset);
  if (survey.kind === 'vg') {
    if (survey.vgName !== vg) throw anotherVg(mapping, survey.vgName);
    const report = await lvm.report();
    if (report === undefined || report.lvs.length > 0) {
      throw new RbdsrError('sr-exists', {
        what: `image ${formatSpec(mapping.spec)} already holds this SR, with ${report?.lvs.length ?? 0} logical volumes`,
        todo: 'Introduce the SR instead of creating it: xe sr-introduce, then pbd-create and pbd-plug.',
      });
    }
    return false;
  }
  work.waiting(`LVM to make ${vg} on ${formatSpec(mapping.spec)}`);
  await lvm.createVg(objectBytes);
  return true;
}

function foreign({ spec, device }: Mapping, what: string, offset: number): RbdsrError {
  return new RbdsrError('image-foreign', {
    what: `image ${formatSpec(spec)} is not empty`,
    expected: 'zeroes in its first and last 16 MiB',
    found: `${what} at byte ${offset}`,
    todo: `If nothing on it is needed, wipe it and try again: ${wipeCommand(spec)}`,
    facts: { device, what, offset },
  });
}

function anotherVg({ spec }: Mapping, found: string): RbdsrError {
  const sr = srOfVg(found);
  return new RbdsrError('image-foreign', {
    what: `image ${formatSpec(spec)} holds a volume group`,
    found: sr === undefined ? found : `${found}, which is SR ${sr}`,
    todo:
      sr === undefined
        ? `If nothing on it is needed, wipe it and try again: ${wipeCommand(spec)}`
        : `To use that SR: xe sr-introduce uuid=${sr} type=rbd. If nothing on it is needed: ${wipeCommand(spec)}`,
    facts: { vg: found },
  });
}

/** The exact command; it empties the image and keeps its name. */
function wipeCommand(spec: Mapping['spec']): string {
  const name = shellSpec(spec);
  return `on a machine with ceph tools, rbd resize --allow-shrink --size 0 ${name} && rbd resize --size SIZE ${name}`;
}
