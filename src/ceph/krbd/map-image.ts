import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import { faultPoint } from '../../system/fault-point.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { addMapping } from './add-mapping.ts';
import { checkImageFeatures } from '../image/features.ts';
import { withImageLock } from './image-lock.ts';
import { checkMappable, formatSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import type { KrbdHost, MapRequest } from './krbd-host.ts';
import { isReadOnly, listMappings, supportedFeatures } from './krbd-sysfs.ts';
import { checkOptionsForKernel } from './map-options.ts';
import { findCandidates, onlyMapping, unknownCluster } from './mapping.ts';
import type { ClusterIdentity, Mapping } from './mapping.ts';
import { formatMonitor } from '../cluster/monitors.ts';
import type { MonitorAddress } from '../cluster/monitors.ts';
import { resolveMonitors } from '../cluster/resolve-monitors.ts';
import { unmapLocked } from './unmap-image.ts';

export interface MapResult {
  readonly mapping: Mapping;
  /** False when the mapping was there before. */
  readonly isNew: boolean;
}

/**
 * The protocol of mapping, under the image's lock:
 *   1. look: a mapping of this image in this cluster is adopted; one that a probe left, read-only, is unmapped where
 *      more is wanted;
 *   2. add: one write to sysfs (add-mapping.ts). A crash after it leaves a mapping that the next attempt adopts at step
 *      1;
 *   3. identify: what came to be must be the cluster that was meant and carry no feature RBDSR refuses, else it is
 *      unmapped again.
 * Nothing is read from the device here, so the lock is never held across an unproven read.
 */
export async function mapImage(
  host: KrbdHost,
  access: ClusterAccess,
  spec: ImageSpec,
  request: MapRequest,
  deadline: Deadline,
): Promise<MapResult> {
  checkMappable(spec);
  checkOptionsForKernel(request.options, host.kernel.release);
  checkNamespace(host, spec);
  return withImageLock(host.lockDir, spec, deadline, async (pending) => {
    let { adopted, unsure, monitors } = await look(host, access, spec, request, deadline);
    if (adopted !== undefined && request.readOnly !== true && isReadOnly(host.roots, adopted)) {
      await unmapLocked(host, adopted, {}, deadline, pending);
      ({ adopted, unsure, monitors } = await look(host, access, spec, request, deadline));
    }
    if (adopted !== undefined) {
      checkFeatures(host, adopted);
      return { mapping: adopted, isNew: false };
    }
    faultPoint('ceph.map.before-add');
    const before = listMappings(host.roots);
    const mapping = await addMapping(host, { access, spec, request, monitors, before, pending }, deadline);
    faultPoint('ceph.map.after-add');
    const unmap = (): Promise<void> => unmapLocked(host, mapping, {}, deadline.forCleanUp(), pending);
    return identify(host, mapping, unsure, request, unmap);
  });
}

interface Look {
  readonly adopted?: Mapping;
  /** Mappings of this name of which only a new mapping's fsid can tell whether they are ours. */
  readonly unsure: readonly Mapping[];
  readonly monitors: readonly MonitorAddress[];
}

async function look(
  host: KrbdHost,
  access: ClusterAccess,
  spec: ImageSpec,
  request: MapRequest,
  deadline: Deadline,
): Promise<Look> {
  const mappings = listMappings(host.roots);
  if (request.fsid !== undefined) {
    const adopted = onlyMapping(spec, findCandidates(mappings, spec, { fsid: request.fsid }).ours);
    if (adopted !== undefined) return { adopted, unsure: [], monitors: [] };
  }
  const monitors = await resolveMonitors(access.monitors, deadline);
  const cluster: ClusterIdentity = {
    ...(request.fsid === undefined ? {} : { fsid: request.fsid }),
    monitors: monitors.map(formatMonitor),
  };
  const { ours, unsure } = findCandidates(mappings, spec, cluster);
  const adopted = onlyMapping(spec, ours);
  if (adopted !== undefined) return { adopted, unsure: [], monitors };
  const nameless = unsure.find((mapping) => mapping.fsid === undefined);
  if (nameless !== undefined) throw unknownCluster(spec, nameless, cluster);
  return { unsure, monitors };
}

async function identify(
  host: KrbdHost,
  mapping: Mapping,
  unsure: readonly Mapping[],
  request: MapRequest,
  unmap: () => Promise<void>,
): Promise<MapResult> {
  try {
    if (request.fsid !== undefined && mapping.fsid !== undefined && mapping.fsid !== request.fsid) {
      throw otherCluster(mapping, request.fsid);
    }
    checkFeatures(host, mapping);
    const twins = unsure.filter((other) => other.fsid === mapping.fsid);
    const older = onlyMapping(mapping.spec, twins);
    if (older === undefined) return { mapping, isNew: true };
    await unmap();
    return { mapping: older, isNew: false };
  } catch (error) {
    return undo(error, { [`the mapping ${mapping.device}`]: unmap });
  }
}

function checkFeatures(host: KrbdHost, mapping: Mapping): void {
  checkImageFeatures(mapping.spec, mapping.features ?? 0, supportedFeatures(host.roots, host.kernel));
}

function checkNamespace(host: KrbdHost, spec: ImageSpec): void {
  if (spec.namespace === undefined || spec.namespace === '' || host.kernel.namespaces) return;
  throw new RbdsrError('kernel-unsupported', {
    what: `this host's kernel cannot map images in a RADOS namespace, such as ${formatSpec(spec)}`,
    expected: 'Linux 4.19 or later',
    found: `Linux ${host.kernel.release}`,
    todo: 'Use an image in the default namespace of a pool.',
  });
}

function otherCluster(mapping: Mapping, expected: string): RbdsrError {
  return new RbdsrError('image-foreign', {
    what: `the monitors of this SR belong to another cluster than the one it was made on`,
    expected: `cluster ${expected}`,
    found: `cluster ${mapping.fsid ?? 'unknown'}`,
    todo: 'Correct the monitors; nothing was changed.',
    facts: { expected, found: mapping.fsid ?? '' },
  });
}
