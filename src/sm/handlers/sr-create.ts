import { messageOf, RbdsrError } from '../../base/error.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import { formatBytes, MiB } from '../../base/units.ts';
import type { ImageInfo } from '../../ceph/control/control-plane.ts';
import { shellSpec } from '../../ceph/image/features.ts';
import { formatSpec, type ImageSpec } from '../../ceph/image/image-spec.ts';
import type { ClusterAccess } from '../../ceph/cluster/access.ts';
import type { MapResult } from '../../ceph/krbd/map-image.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { vgName } from '../../lvhd/names.ts';
import { runSteps } from '../../system/running-steps.ts';
import { setMapKey } from '../../xapi/map-keys.ts';
import { lvmOf } from '../../sr/attached-sr.ts';
import { makeVolumeGroup } from '../../sr/make-volume-group.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { prepareImage } from '../../sr/image/image-preparation.ts';
import { refuseImageOfAnotherSr } from '../../sr/image/image-claims.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { blankMapped, mapForCall } from '../../sr/image/map-sr-image.ts';
import { unitReply } from '../protocol/reply.ts';
import { keepFsid } from '../../sr/config/fsid-key.ts';
import { imageSpecOf, type SrConfig } from '../../sr/config/sr-type.ts';
import { undoWork } from '../../sr/work/work-until.ts';
import { srOf } from '../../sr/work/subject.ts';

/** Room for LVM's own metadata, MGT, a journal and one small disk. Bytes. */
const SMALLEST_IMAGE = 64 * MiB;

/**
 * Makes an empty volume group on the image and leaves nothing mapped. Nothing is written before the image has been
 * shown to be blank, or to hold the beginning of this very SR.
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
  const vg = vgName(srOf(call));
  const access = await config.access(call);
  await refuseImageOfAnotherSr(call, spec, call.request.deviceConfig);
  if (config.sizeBytes !== undefined) {
    refuseSmallImage(`${formatSpec(spec)} of device-config size`, config.sizeBytes, 'Give a larger size.');
  }
  const creation: Creation = { call, config, spec, access, vg };
  try {
    await runSteps(srCreationSteps, creation);
  } catch (error) {
    const { mapped, hasMadeVg } = creation;
    if (mapped === undefined) throw error;
    const { mapping, isNew } = mapped;
    // What was here before is somebody's.
    const unmake = (): Promise<void> => removeVolumeGroup(undoWork(call), mapping, vg);
    const unmap = (): Promise<void> => krbdOf(call).unmap(mapping, call.deadline.forCleanUp());
    return undo(error, {
      ...(hasMadeVg === true ? { 'the volume group': unmake } : {}),
      ...(isNew ? { [`the mapping ${mapping.device}`]: unmap } : {}),
    });
  }
}

interface Creation {
  readonly call: SmCall;
  readonly config: SrConfig;
  readonly spec: ImageSpec;
  readonly access: ClusterAccess;
  readonly vg: string;
  /** Where the cluster could be asked. */
  image?: ImageInfo | undefined;
  mapped?: MapResult;
  hasMadeVg?: boolean;
}

const introduced: Mending = {
  by: ['again', 'sr_introduce'],
  says: '`xe sr-create` has a new uuid each time, refuses and names this one: `xe sr-introduce` it, then pbd-create and pbd-plug. sr_create with the same uuid goes on',
};

export const srCreationSteps: readonly Step<Creation>[] = [
  step('sr-create.after-image', makeImage, {
    does: 'the image is made, where `size` was given and it was absent',
    leaves: { id: 'image-blank', says: 'a blank image' },
    mendedBy: { by: ['again'], says: 'sr_create again finds it blank' },
  }),
  step('sr-create.after-map', mapImage, {
    does: 'it is mapped, by the steps above',
    leaves: { id: 'image-blank-mapped', says: 'a mapping that no record names' },
    mendedBy: { by: ['again'], says: 'sr_create again adopts it' },
  }),
  step('sr-create.after-vg', makeVg, {
    does: '`vgcreate`',
    leaves: { id: 'sr-empty-mapped', says: "an empty volume group of this SR's uuid, mapped" },
    mendedBy: introduced,
  }),
  step('sr-create.after-xapi', recordInXapi, {
    does: "xapi's sm_config",
    leaves: { id: 'sr-recorded-mapped', says: 'the same' },
    mendedBy: introduced,
  }),
  lastStep(unmapImage, 'the image is unmapped'),
];

async function makeImage(creation: Creation): Promise<void> {
  const { call, config, spec } = creation;
  creation.image = await prepareImage(call, config, spec);
}

async function mapImage(creation: Creation): Promise<void> {
  const { call, access, config, spec, image } = creation;
  const expected = image === undefined ? {} : { sizeBytes: image.sizeBytes };
  creation.mapped = await mapForCall(call, access, config, spec, expected);
}

async function makeVg(creation: Creation): Promise<void> {
  const { call, spec, vg, image } = creation;
  const { mapping } = mappedOf(creation);
  refuseSmallImage(formatSpec(spec), mapping.sizeBytes, `Grow it: rbd resize --size 10G ${shellSpec(spec)}`);
  creation.hasMadeVg = await makeVolumeGroup(call, mapping, vg, image?.objectBytes);
}

/** Keys of our own beside the stock ones; each is set alone, as others write to the map too. */
async function recordInXapi(creation: Creation): Promise<void> {
  const { call, config } = creation;
  const { mapping } = mappedOf(creation);
  const { srRef } = call.request;
  if (srRef !== undefined) {
    const xapi = await call.xapi();
    await setMapKey(xapi, 'SR.sm_config', srRef, 'use_vhd', 'true');
    await keepFsid(xapi, srRef, mapping);
  }
  await config.mapped?.(call, mapping);
}

/** The SR is made whatever becomes of it. A mapping that was here before stays. */
async function unmapImage(creation: Creation): Promise<void> {
  const { call, spec } = creation;
  const { mapping, isNew } = mappedOf(creation);
  if (!isNew) return;
  await krbdOf(call)
    .unmap(mapping, call.deadline)
    .catch((error: unknown) =>
      call.log.warn(`SR ${srOf(call)} is made; ${formatSpec(spec)} stays mapped: ${messageOf(error)}`),
    );
}

function mappedOf({ mapped, spec }: Creation): MapResult {
  if (mapped !== undefined) return mapped;
  throw new RbdsrError('internal', { what: `${formatSpec(spec)} is not mapped yet` });
}

/** What this very call has made: xapi forgets the SR, so the image has to be as it was. */
async function removeVolumeGroup(call: SmCall, mapping: Mapping, vg: string): Promise<void> {
  const lvm = lvmOf(call, mapping, vg);
  await lvm.removeVg();
  await lvm.removePv();
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
