import { hasCode, RbdsrError } from '../../base/error.ts';
import type { ControlPlane } from '../../ceph/control/control-plane.ts';
import { formatSpec, printable } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { MetadataVolume } from '../../lvhd/metadata/metadata-volume.ts';
import { MGT_LV, srOfVg } from '../../lvhd/names.ts';
import { extentIo } from '../../lvm/extents.ts';
import type { Survey } from '../../lvm/pv-label.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { lvmOf } from '../../sr/attached-sr.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { mapForCall, surveyMapped } from '../../sr/image/map-sr-image.ts';
import { type ProbeElement, xmlDocument } from '../protocol/probe-xml.ts';
import { textReply } from '../protocol/reply.ts';
import { lvNamed } from '../../lvm/report.ts';
import { imageSpecOf, type SrConfig } from '../../sr/config/sr-type.ts';

/**
 * Without a pool: which there are. Without an image: which there are. With both: what is on the image. Writes nothing
 * anywhere.
 */
export const handler: Handler = async (call) => {
  const config = await configOf(call);
  if (config.pool === undefined) return textReply(await listPools(call, config));
  if (config.image === undefined) return textReply(await listImages(call, config, config.pool));
  return textReply(await whatIsOn(call, config));
};

async function listPools(call: SmCall, config: SrConfig): Promise<string> {
  const plane = await config.controlPlane(call);
  call.waiting('the cluster to list its pools');
  const pools = await plane.listPools(call.deadline);
  return xmlDocument(
    'rbd-pools',
    pools.map(({ displayName }) => ['Pool', [['Name', displayName]]]),
  );
}

async function listImages(call: SmCall, config: SrConfig, pool: string): Promise<string> {
  const plane = await config.controlPlane(call);
  call.waiting(`the cluster to list the images of pool ${pool}`);
  const images = await plane.listImages(pool, config.namespace, call.deadline);
  const namespaces = config.namespace === undefined ? await otherPlaces(call, plane, pool) : [];
  return xmlDocument('rbd-images', [
    ...images.map(
      ({ displayName, sizeBytes, format }): ProbeElement => [
        'Image',
        [['Name', displayName], ['Size', String(sizeBytes)], ...(format === 1 ? [['Format', '1'] as const] : [])],
      ],
    ),
    ...namespaces.map((namespace): ProbeElement => ['Namespace', [['Name', printable(namespace)]]]),
  ]);
}

/** The list of images is worth more than that of namespaces. */
async function otherPlaces(call: SmCall, plane: ControlPlane, pool: string): Promise<readonly string[]> {
  try {
    return await plane.listNamespaces(pool, call.deadline);
  } catch (error) {
    if (!(error instanceof RbdsrError)) throw error;
    call.log.warn(`the namespaces of pool ${pool} are not listed: ${error.message}`);
    return [];
  }
}

async function whatIsOn(call: SmCall, config: SrConfig): Promise<string> {
  const spec = imageSpecOf(config);
  const access = await config.access(call);
  const { mapping, isNew } = await mapForCall(call, access, config, spec, { readOnly: true });
  try {
    const survey = await surveyMapped(call, mapping);
    return xmlDocument('SRlist', await srElements(call, mapping, survey));
  } finally {
    if (isNew) await krbdOf(call).unmap(mapping, call.deadline);
  }
}

async function srElements(call: SmCall, mapping: Mapping, survey: Survey): Promise<readonly ProbeElement[]> {
  if (survey.kind === 'blank') return [];
  if (survey.kind === 'foreign') throw notAnSr(mapping, `${survey.what} at byte ${survey.offset}`);
  const uuid = srOfVg(survey.vgName);
  if (uuid === undefined) throw notAnSr(mapping, `volume group ${survey.vgName}`);
  const sr: ProbeElement[] = [
    ['UUID', uuid],
    ['Devlist', mapping.device],
    ['size', String(mapping.sizeBytes)],
  ];
  if (call.request.srSmConfig?.['metadata'] === 'true') sr.push(...(await namesOf(call, mapping, survey.vgName)));
  return [['SR', sr]];
}

/** For disaster recovery: what the SR was called, and whether it holds a pool's metadata. */
async function namesOf(call: SmCall, mapping: Mapping, vg: string): Promise<readonly ProbeElement[]> {
  const report = await lvmOf(call, mapping, vg).report();
  const lv = lvNamed(report, MGT_LV);
  if (lv === undefined) return [];
  const pv = await openBlockIo(mapping.device, 'read');
  try {
    const { sr, vdis } = await new MetadataVolume(extentIo(pv, lv)).read({ tolerant: true });
    const pool = vdis.some(({ type, isASnapshot }) => type === 'metadata' && !isASnapshot);
    return [
      ['name_label', sr.nameLabel],
      ['name_description', sr.nameDescription],
      ['pool_metadata_detected', String(pool)],
    ];
  } catch (error) {
    if (!hasCode(error, 'metadata-corrupt')) throw error;
    call.log.warn(`probe of ${formatSpec(mapping.spec)}: ${error.message}`);
    return [];
  } finally {
    await pv.close();
  }
}

function notAnSr({ spec }: Mapping, found: string): RbdsrError {
  return new RbdsrError('image-foreign', {
    what: `image ${formatSpec(spec)} holds no SR`,
    expected: 'an SR, or nothing at all',
    found,
    todo: 'Choose another image.',
  });
}
