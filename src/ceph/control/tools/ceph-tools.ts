import type { Deadline } from '../../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../../base/error.ts';
import { KiB, MiB, roundUp } from '../../../base/units.ts';
import type { ClusterAccess } from '../../cluster/access.ts';
import {
  decodeAllocated,
  decodeFsid,
  decodeImages,
  decodeInfo,
  decodeNamespaces,
  decodePools,
  decodeWatchers,
} from './ceph-tool-json.ts';
import { exitErrno, refuseUnspeakable } from './ceph-tool-errors.ts';
import { CephToolRunner } from './ceph-tool-runner.ts';
import type { CephToolOptions, CephTools } from './ceph-tool-runner.ts';
import { checkedClient, checkedLayout, refuseToShrink } from '../checked-change.ts';
import type { ControlPlane, ImageInfo } from '../control-plane.ts';
import { byEitherName, decodeFences } from '../fences.ts';
import { poolMissing } from '../missing.ts';
import { aboutNamespaces, aboutPlace, type PoolPlace } from '../not-allowed.ts';
import { decodeFullness, decodeUsage } from '../pool-fullness.ts';
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
    listNamespaces: async (pool, deadline) => {
      try {
        const args = ['namespace', 'ls', '--format', 'json', ...placeArgs({ pool })];
        return decodeNamespaces(await tools.rbd(args, { pool }, deadline));
      } catch (error) {
        throw aboutNamespaces(error);
      }
    },
    poolSpace: async (pool, deadline) => {
      refuseUnspeakable(pool, 'pool');
      const { dump, df } = await usage(tools, deadline).catch((error: unknown) => {
        throw aboutPlace(error, { pool });
      });
      const flags = decodeFullness(dump, pool);
      const used = decodeUsage(df, pool);
      if (used === undefined || flags === undefined) throw poolMissing('the cluster', pool);
      return { ...used, flags };
    },
    listImages: async (pool, namespace, deadline) => {
      const place = { pool, ...(namespace === undefined || namespace === '' ? {} : { namespace }) };
      return decodeImages(
        await tools.rbd(['ls', '--long', '--format', 'json', ...placeArgs(place)], place, deadline),
        place,
      );
    },
    createImage: async (spec, sizeBytes, deadline, layout = {}) => {
      const { objectBytes, dataPool = spec.pool } = checkedLayout(layout);
      const place = { pool: spec.pool, ...namespaceOf(spec) };
      if (dataPool !== spec.pool) await seeDataPool(tools, dataPool, place, deadline);
      const size = ['--size', `${roundUp(MiB, sizeBytes) / MiB}M`];
      const objects = objectBytes === undefined ? [] : ['--object-size', `${objectBytes / KiB}K`];
      const data = dataPool === spec.pool ? [] : [`--data-pool=${dataPool}`];
      const rest = ['--image-feature', 'layering', '--no-progress', ...imageArgs(spec)];
      try {
        await tools.rbd(['create', ...size, ...objects, ...data, ...rest], place, deadline);
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
    fences: async (deadline) => decodeFences(await blocklist(tools, ['ls', '--format', 'json'], deadline)),
    proveFence: () => Promise.reject(notByTools()),
    clusterId: async (deadline) => decodeFsid(await tools.ceph(['fsid', '--format', 'json'], deadline)),
  };
}

/** Clusters before 16 call it blacklist. */
function blocklist(tools: CephTools, args: readonly string[], deadline: Deadline): Promise<string> {
  return byEitherName((name) =>
    name === 'blocklist'
      ? tools.ceph(['osd', 'blocklist', ...args], deadline)
      : tools.ceph(['osd', 'blacklist', ...args], deadline),
  );
}

/** They have no word for "answer me by this map". */
function notByTools(): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: 'ceph tools do not tell whether the OSDs know of a fence yet',
    expected: 'RBDSR to ask the OSDs itself, with the key of a cephx user',
    facts: { errno: 'ENOTSUP' },
  });
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

async function usage(tools: CephTools, deadline: Deadline): Promise<{ readonly dump: string; readonly df: string }> {
  const dump = await tools.ceph(['osd', 'dump', '--format', 'json'], deadline);
  return { dump, df: await tools.ceph(['df', '--format', 'json'], deadline) };
}

/**
 * `rbd create` makes an image for whose data its user may not use the pool, and fails with the errno of what is missing
 * without saying which: whoever may use a pool may list it, and a namespace need not be there for the data in it.
 */
async function seeDataPool(tools: CephTools, pool: string, header: PoolPlace, deadline: Deadline): Promise<void> {
  const place = { ...header, pool };
  try {
    await tools.rbd(['ls', '--format', 'json', ...placeArgs(place)], { ...place, besides: [header] }, deadline);
  } catch (error) {
    if (!hasCode(error, 'pool-missing') || error.detail.facts?.['namespace'] === undefined) throw error;
  }
}

function namespaceOf(spec: ImageSpec): { readonly namespace?: string } {
  return spec.namespace === undefined ? {} : { namespace: spec.namespace };
}
