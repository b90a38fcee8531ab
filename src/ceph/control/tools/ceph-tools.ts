import type { Deadline } from '../../../base/deadline.ts';
import { hasCode } from '../../../base/error.ts';
import { MiB, roundUp } from '../../../base/units.ts';
import type { ClusterAccess } from '../../cluster/access.ts';
import {
  decodeAllocated,
  decodeFsid,
  decodeImages,
  decodeInfo,
  decodePools,
  decodeWatchers,
} from './ceph-tool-json.ts';
import { exitErrno, refuseUnspeakable } from './ceph-tool-errors.ts';
import { CephToolRunner } from './ceph-tool-runner.ts';
import type { CephToolOptions, CephTools } from './ceph-tool-runner.ts';
import { checkedClient, refuseToShrink } from '../checked-change.ts';
import type { ControlPlane, ImageInfo } from '../control-plane.ts';
import type { ImageSpec } from '../../image/image-spec.ts';

/** The control plane by the programs `rbd` and `ceph` of this host. 'control-plane-missing' when it has neither. */
export function controlPlaneOf(access: ClusterAccess, options: CephToolOptions = {}): ControlPlane {
  const tools = new CephToolRunner(access, options);
  tools.requireAny();
  return controlPlaneBy(tools);
}

/** The control plane by `rbd` and `ceph`, wherever they run. */
export function controlPlaneBy(tools: CephTools): ControlPlane {
  const imageInfo = async (spec: ImageSpec, deadline: Deadline): Promise<ImageInfo> =>
    decodeInfo(await tools.rbd(['info', '--format', 'json', ...imageArgs(spec)], spec, deadline));

  return {
    imageInfo,
    listPools: async (deadline) =>
      decodePools(await tools.ceph(['osd', 'pool', 'ls', 'detail', '--format', 'json'], deadline)),
    listImages: async (pool, namespace, deadline) => {
      const place = { pool, ...(namespace === undefined || namespace === '' ? {} : { namespace }) };
      return decodeImages(
        await tools.rbd(['ls', '--long', '--format', 'json', ...placeArgs(place)], place, deadline),
        place,
      );
    },
    createImage: async (spec, sizeBytes, deadline) => {
      const size = `${roundUp(MiB, sizeBytes) / MiB}M`;
      const args = ['create', '--size', size, '--image-feature', 'layering', '--no-progress', ...imageArgs(spec)];
      try {
        await tools.rbd(args, { pool: spec.pool, ...namespaceOf(spec) }, deadline);
      } catch (error) {
        if (exitErrno(error) !== 'EEXIST') throw error;
      }
      return imageInfo(spec, deadline);
    },
    resizeImage: async (spec, sizeBytes, deadline) => {
      const before = await imageInfo(spec, deadline);
      const size = roundUp(MiB, sizeBytes);
      refuseToShrink(spec, before.sizeBytes, size);
      if (before.sizeBytes === size) return before;
      try {
        await tools.rbd(['resize', '--size', `${size / MiB}M`, '--no-progress', ...imageArgs(spec)], spec, deadline);
      } catch (error) {
        // What the tool says where somebody else has done it meanwhile (ceph `src/tools/rbd/action/Resize.cc`).
        const now = exitErrno(error) === 'EINVAL' ? await imageInfo(spec, deadline) : undefined;
        if (now?.sizeBytes === size) return now;
        throw error;
      }
      return imageInfo(spec, deadline);
    },
    watchers: async (spec, deadline) =>
      decodeWatchers(await tools.rbd(['status', '--format', 'json', ...imageArgs(spec)], spec, deadline)),
    allocated: async (spec, deadline) =>
      decodeAllocated(
        await tools.rbd(['diff', '--whole-object', '--format', 'json', ...imageArgs(spec)], spec, deadline),
      ),
    fence: async (address, seconds, deadline) => {
      await blocklist(tools, ['add', checkedClient(address), String(Math.ceil(seconds))], deadline);
    },
    unfence: async (address, deadline) => {
      await blocklist(tools, ['rm', checkedClient(address)], deadline);
    },
    clusterId: async (deadline) => decodeFsid(await tools.ceph(['fsid', '--format', 'json'], deadline)),
  };
}

/** Clusters before 16 call it blacklist. */
async function blocklist(tools: CephTools, args: readonly string[], deadline: Deadline): Promise<void> {
  try {
    await tools.ceph(['osd', 'blocklist', ...args], deadline);
  } catch (error) {
    if (!hasCode(error, 'control-plane-failed') || exitErrno(error) !== 'EINVAL') throw error;
    await tools.ceph(['osd', 'blacklist', ...args], deadline);
  }
}

/**
 * As `--option=value`, so that no name can be taken for an option or a spec: the tools look for `--conf` even where a
 * value is due.
 */
export function imageArgs(spec: ImageSpec): readonly string[] {
  refuseUnspeakable(spec.image, 'image');
  return [...placeArgs(spec), `--image=${spec.image}`];
}

function placeArgs(place: { readonly pool: string; readonly namespace?: string }): readonly string[] {
  refuseUnspeakable(place.pool, 'pool');
  const namespace = place.namespace ?? '';
  return [`--pool=${place.pool}`, ...(namespace === '' ? [] : [`--namespace=${namespace}`])];
}

function namespaceOf(spec: ImageSpec): { readonly namespace?: string } {
  return spec.namespace === undefined ? {} : { namespace: spec.namespace };
}
