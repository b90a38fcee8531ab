import { messageOf, RbdsrError } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import { formatBytes, MiB } from '../../base/units.ts';
import { shellSpec } from '../../ceph/image/features.ts';
import { formatSpec, type ImageSpec } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { srOfVg, vgName } from '../../lvhd/names.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { setMapKey } from '../../xapi/map-keys.ts';
import { lvmOf } from '../../sr/attached-sr.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { prepareImage } from '../../sr/image/image-preparation.ts';
import { refuseImageOfAnotherSr } from '../../sr/image/image-claims.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { blankMapped, mapForCall, surveyMapped } from '../../sr/image/map-sr-image.ts';
import { unitReply } from '../protocol/reply.ts';
import { keepFsid } from '../../sr/config/fsid-key.ts';
import { imageSpecOf, type SrConfig } from '../../sr/config/sr-type.ts';
import { undoWork } from '../../sr/work/work-until.ts';
import { srOf } from '../../sr/work/subject.ts';

/** Room for LVM's own metadata, MGT, a journal and one small disk. Bytes. */
const SMALLEST_IMAGE = 64 * MiB;

/**
 * Makes an empty volume group on the image and leaves nothing mapped. Nothing is written before the image has been
 * shown to be blank, or to hold the beginning of this very SR. Crash states: docs/recovery.md, "sr_create".
 */
export const handler: Handler = async (call) => {
  const config = await configOf(call);
  try {
    await createSr(call, config, imageSpecOf(config));
  } catch (error) {
    return undo(error, { 'what was made for access to the cluster': async () => config.abandon?.(undoWork(call)) });
  }
  return unitReply;
};

async function createSr(call: SmCall, config: SrConfig, spec: ImageSpec): Promise<void> {
  const uuid = srOf(call);
  const access = await config.access(call);
  await refuseImageOfAnotherSr(call, spec, call.request.deviceConfig);
  if (config.sizeBytes !== undefined) {
    refuseSmallImage(`${formatSpec(spec)} of device-config size`, config.sizeBytes, 'Give a larger size.');
  }
  const image = await prepareImage(call, config, spec);
  const expected = image === undefined ? {} : { sizeBytes: image.sizeBytes };
  const { mapping, isNew } = await mapForCall(call, access, config, spec, expected);
  const krbd = krbdOf(call);
  let isMade = false;
  try {
    refuseSmallImage(formatSpec(spec), mapping.sizeBytes, `Grow it: rbd resize --size 10G ${shellSpec(spec)}`);
    isMade = await makeVolumeGroup(call, mapping, vgName(uuid), image?.objectBytes);
    faultPoint('sr-create.after-vg');
    await recordInXapi(call, mapping);
    await config.mapped?.(call, mapping);
  } catch (error) {
    // What was here before is somebody's.
    const unmake = (): Promise<void> => removeVolumeGroup(undoWork(call), mapping, vgName(uuid));
    const unmap = (): Promise<void> => krbd.unmap(mapping, call.deadline.forCleanUp());
    return undo(error, {
      ...(isMade ? { 'the volume group': unmake } : {}),
      ...(isNew ? { [`the mapping ${mapping.device}`]: unmap } : {}),
    });
  }
  if (!isNew) return;
  await krbd
    .unmap(mapping, call.deadline)
    .catch((error: unknown) =>
      call.log.warn(`SR ${uuid} is made; ${formatSpec(spec)} stays mapped: ${messageOf(error)}`),
    );
}

/** What this very call has made: xapi forgets the SR, so the image has to be as it was. */
async function removeVolumeGroup(call: SmCall, mapping: Mapping, vg: string): Promise<void> {
  await lvmOf(call, mapping, vg).removeVg();
  await blankMapped(call, mapping);
}

function refuseSmallImage(image: string, sizeBytes: number, todo: string): void {
  if (sizeBytes >= SMALLEST_IMAGE) return;
  throw new RbdsrError('image-too-small', {
    what: `image ${image} is too small for an SR`,
    expected: `at least ${formatBytes(SMALLEST_IMAGE)}`,
    found: formatBytes(sizeBytes),
    todo,
  });
}

/** False where there was one of this SR already. */
async function makeVolumeGroup(call: SmCall, mapping: Mapping, vg: string, objectBytes?: number): Promise<boolean> {
  const lvm = lvmOf(call, mapping, vg);
  const survey = await surveyMapped(call, mapping);
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
  call.waiting(`LVM to make ${vg} on ${formatSpec(mapping.spec)}`);
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

/** Keys of our own beside the stock ones; each is set alone, as others write to the map too. */
async function recordInXapi(call: SmCall, mapping: Mapping): Promise<void> {
  const { srRef } = call.request;
  if (srRef === undefined) return;
  const xapi = await call.xapi();
  await setMapKey(xapi, 'SR.sm_config', srRef, 'use_vhd', 'true');
  await keepFsid(xapi, srRef, mapping);
}
