import type { Deadline } from '../base/deadline.ts';
import { hasCode, RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';
import { clusterAccess, type ClusterAccess } from '../ceph/cluster/access.ts';
import { parseKeyring } from '../ceph/cluster/keyring-file.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { openNativePlane } from '../ceph/control/native/native-plane.ts';
import { keyTypeOf } from '../ceph/cluster/cephx-key.ts';
import { controlPlaneOf } from '../ceph/control/tools/ceph-tools.ts';
import { hostPaths } from '../dom0/host-profile.ts';
import { parseDeviceConfig } from '../sr/config/device-config.ts';
import { keyringFolder } from '../sr/config/static-config.ts';
import { readIfExists } from '../system/files.ts';
import type { Xapi } from '../xapi/client.ts';
import { withLocalXapi } from './driver-srs.ts';
import { keptBySr } from './kept-access.ts';
import { monitorOfSr } from './monitor-login.ts';
import { type PoolSr, poolSr } from './pool-sr.ts';
import { resolveAccess } from './rbd-type.ts';

/**
 * Asks the cluster about an SR's image, by whatever this host has: ceph tools and the key that the SR's PBDs use; for a
 * diverted SR a monitor over SSH; with xapi down ceph tools and the key file of HA. `monitors`: those of the mapping.
 */
export async function withSrControlPlane<T>(
  root: string,
  sr: SrUuid,
  monitors: readonly string[],
  deadline: Deadline,
  work: (plane: ControlPlane) => Promise<T>,
): Promise<T> {
  try {
    return await withLocalXapi(root, (xapi) => byXapi(root, xapi, sr, deadline, work), deadline.leftMs);
  } catch (error) {
    if (!hasCode(error, 'xapi-unreachable')) throw error;
    const access = accessOfKeyFile(`${keyringFolder(root)}/${sr}.keyring`, monitors);
    if (access === undefined) throw error;
    return work(toolsWith(root, access));
  }
}

async function byXapi<T>(
  root: string,
  xapi: Xapi,
  uuid: SrUuid,
  deadline: Deadline,
  work: (plane: ControlPlane) => Promise<T>,
): Promise<T> {
  const sr = await poolSr(xapi, uuid);
  const access = await accessOf(xapi, sr);
  if (keyTypeOf(access.key) === 'aes') {
    using plane = openNativePlane(access);
    return await work(plane);
  }
  try {
    return await work(toolsWith(root, access));
  } catch (error) {
    if (sr.kind !== 'diverted' || !hasCode(error, 'control-plane-missing')) throw error;
  }
  await using monitor = await monitorOfSr(root, xapi, sr, {}, deadline);
  return await work(monitor);
}

async function accessOf(xapi: Xapi, { sr, pbds, kind }: PoolSr): Promise<ClusterAccess> {
  const [pbd] = pbds;
  if (kind === 'rbd' && pbd !== undefined) return resolveAccess(parseDeviceConfig(pbd.deviceConfig), async () => xapi);
  const kept = await keptBySr(xapi, sr.ref);
  if (kept !== undefined) return kept.access;
  throw new RbdsrError('config-missing', { what: `nothing tells by which key SR ${sr.uuid} gets at its image` });
}

function accessOfKeyFile(path: string, monitors: readonly string[]): ClusterAccess | undefined {
  const [entity] = parseKeyring(readIfExists(path) ?? '').keys();
  if (entity === undefined || monitors.length === 0) return undefined;
  return clusterAccess({ monitors: monitors.join(','), user: entity, keyring: path });
}

function toolsWith(root: string, access: ClusterAccess): ControlPlane {
  return controlPlaneOf(access, { runDir: hostPaths(root, '').runDir });
}
