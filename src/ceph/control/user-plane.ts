import type { Deadline } from '../../base/deadline.ts';
import { hasCode } from '../../base/error.ts';
import type { Log } from '../../base/log.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import type { ControlPlane } from './control-plane.ts';
import type { ClusterFacts } from './monitor-map.ts';
import type { NativePlane } from './native/native-plane.ts';
import { exitErrno } from './tools/ceph-tool-errors.ts';
import type { CephToolOptions } from './tools/ceph-tool-runner.ts';

/** The control plane as a cephx user. Whoever opened it closes it: its connections keep the process alive. */
export interface UserPlane extends ControlPlane, Disposable {
  /** Who speaks to the cluster: this process, or ceph tools of this host. */
  readonly by: 'itself' | 'ceph tools';
  /** The fsid and the whole monitor map; undefined where ceph tools are asked. */
  facts(deadline: Deadline): Promise<ClusterFacts | undefined>;
}

/** Where ceph tools are, and who is told which of both speaks to the cluster. */
export interface UserPlaneOptions extends CephToolOptions {
  readonly log: Log;
}

/**
 * This process speaks to the cluster itself, once it has been let in. Only where it cannot (a key of another type than
 * aes, a cluster that wants messages signed and has messenger v1 alone, or that has v2.0 alone), and for what it leaves
 * to librbd, ceph tools of this host are asked, if it has any. 'cluster-incompatible' where nobody can; else what
 * ControlPlane names.
 */
export async function openUserPlane(
  access: ClusterAccess,
  { log, ...where }: UserPlaneOptions,
  deadline: Deadline,
): Promise<UserPlane> {
  const { openNativePlane } = await import('./native/native-plane.ts');
  const native = openNativePlane(access);
  const tools = (why: unknown): Promise<ControlPlane> => toolsInstead(access, where, why);
  try {
    await native.clusterId(deadline);
  } catch (error) {
    native[Symbol.dispose]();
    if (!hasCode(error, 'cluster-incompatible')) throw error;
    const plane = await tools(error);
    log.info(`the cluster is asked as client.${access.user} by ceph tools of this host: ${error.detail.what}`);
    return { ...plane, by: 'ceph tools', facts: async () => undefined, [Symbol.dispose]: () => {} };
  }
  log.info(`the cluster is asked as client.${access.user}, by RBDSR itself`);
  return { ...withLibrbd(native, tools), by: 'itself', [Symbol.dispose]: () => native[Symbol.dispose]() };
}

/** What an image of another make than an SR's takes is left to librbd, where this host has it. */
function withLibrbd(native: NativePlane, tools: (why: unknown) => Promise<ControlPlane>): NativePlane {
  const orByTools = async <T>(work: Promise<T>, instead: (plane: ControlPlane) => Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (exitErrno(error) !== 'ENOTSUP') throw error;
      return instead(await tools(error));
    }
  };
  return {
    ...native,
    allocated: (...call) => orByTools(native.allocated(...call), (plane) => plane.allocated(...call)),
    resizeImage: (...call) => orByTools(native.resizeImage(...call), (plane) => plane.resizeImage(...call)),
  };
}

/** `why` this process cannot is what counts where the host has no tools either. */
async function toolsInstead(access: ClusterAccess, where: CephToolOptions, why: unknown): Promise<ControlPlane> {
  const { controlPlaneOf } = await import('./tools/ceph-tools.ts');
  try {
    return controlPlaneOf(access, where);
  } catch (error) {
    throw hasCode(error, 'control-plane-missing') ? why : error;
  }
}
