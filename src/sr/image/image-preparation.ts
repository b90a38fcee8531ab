import { hasCode, RbdsrError } from '../../base/error.ts';
import type { ControlPlane, ImageInfo, Watcher } from '../../ceph/control/control-plane.ts';
import { checkImageFeatures, FEATURES } from '../../ceph/image/features.ts';
import { formatSpec, type ImageSpec, sameSpec } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { allHosts } from '../../xapi/host.ts';
import type { SrWork } from '../work/work.ts';
import { krbdOf } from './krbd-of-host.ts';
import type { SrConfig } from '../config/sr-type.ts';

/**
 * What only the control plane can do before an SR is made: make the image if device-config has a size, name all its
 * features, see who else has it open. Where nobody can ask the cluster as this user none of it is needed, unless the
 * image has to be made: then undefined.
 */
export async function prepareImage(work: SrWork, config: SrConfig, spec: ImageSpec): Promise<ImageInfo | undefined> {
  const plane = await planeIfAny(work, config);
  if (plane === undefined) return undefined;
  work.waiting(`the cluster's answer about ${formatSpec(spec)}`);
  await krbdOf(work).loadModule(work.deadline);
  const image = await imageOf(plane, config, spec, work);
  checkImageFeatures(spec, image.features, krbdOf(work).supportedFeatures());
  await refuseForeignWatchers(work, plane, spec);
  return image;
}

async function planeIfAny(work: SrWork, config: SrConfig): Promise<ControlPlane | undefined> {
  try {
    return await config.controlPlane(work);
  } catch (error) {
    const isNobody = hasCode(error, 'control-plane-missing', 'cluster-incompatible');
    if (!isNobody || config.sizeBytes !== undefined) throw error;
    work.log.info(`nothing is asked of the cluster beforehand: ${error.message}`);
    return undefined;
  }
}

async function imageOf(
  plane: ControlPlane,
  { sizeBytes, layout = {} }: SrConfig,
  spec: ImageSpec,
  work: SrWork,
): Promise<ImageInfo> {
  try {
    return await plane.imageInfo(spec, work.deadline);
  } catch (error) {
    if (sizeBytes === undefined || !hasCode(error, 'image-missing')) throw error;
    const features = FEATURES.layering + (layout.dataPool === undefined ? 0 : FEATURES['data-pool']);
    checkImageFeatures(spec, features, krbdOf(work).supportedFeatures());
    return plane.createImage(spec, sizeBytes, work.deadline, layout);
  }
}

async function refuseForeignWatchers(work: SrWork, plane: ControlPlane, spec: ImageSpec): Promise<void> {
  const watchers = await plane.watchers(spec, work.deadline);
  if (watchers.length === 0) return;
  const hosts = new Set((await allHosts(await work.xapi())).map(({ address }) => address));
  const own = krbdOf(work)
    .list()
    .filter((mapping) => sameSpec(mapping.spec, spec));
  const strangers = watchers.filter(
    (watcher) => !hosts.has(addressOnly(watcher.address)) && !own.some((mapping) => isMapping(watcher, mapping)),
  );
  const [first] = strangers;
  if (first === undefined) return;
  throw new RbdsrError('image-in-use', {
    what: `image ${formatSpec(spec)} is in use by a client that is no host of this pool`,
    found: strangers.map(({ address }) => address).join(', '),
    todo: 'Stop what uses it there. A client that died disappears from `rbd status` after 30 s.',
    facts: { watcher: first.address },
  });
}

/** What a call of ours left mapped: this host's address in the storage network need not be the one xapi has. */
function isMapping({ address, client }: Watcher, { clientId, clientAddress = address }: Mapping): boolean {
  return clientId === `client${client}` && nonceOf(clientAddress) === nonceOf(address);
}

function nonceOf(address: string): string | undefined {
  return address.split('/').at(-1);
}

/** "10.0.0.5:0/123" and "[fd00::1]:0/123" without port and nonce. */
function addressOnly(address: string): string {
  return address.replace(/:\d+\/\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
