import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { addMapping } from './add-mapping.ts';
import { type Look, look } from './find-mapped.ts';
import { checkImageFeatures } from '../image/features.ts';
import { withImageLock } from './image-lock.ts';
import { checkMappable, formatSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import type { KrbdHost, MapRequest } from './krbd-host.ts';
import { isReadOnly, listMappings, supportedFeatures } from './krbd-sysfs.ts';
import { checkOptionsForKernel } from './map-options.ts';
import { onlyMapping, unknownCluster } from './mapping.ts';
import type { Mapping } from './mapping.ts';
import { unmapLocked } from './unmap-image.ts';

export interface MapResult {
  readonly mapping: Mapping;
  /** False when the mapping was there before. */
  readonly isNew: boolean;
}

/**
 * Under the image's lock. A mapping of this image in this cluster that is there already is adopted. Nothing is read
 * from the device here, so the lock is never held across an unproven read.
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
    const found = await look(host, access, spec, request, deadline);
    const work: MappingWork = { host, access, spec, request, deadline, pending, found };
    await runSteps(mapSteps, work);
    if (work.result === undefined) throw new RbdsrError('internal', { what: `${formatSpec(spec)} is not mapped` });
    return work.result;
  });
}

/** The mapping of one image. */
interface MappingWork {
  readonly host: KrbdHost;
  readonly access: ClusterAccess;
  readonly spec: ImageSpec;
  readonly request: MapRequest;
  readonly deadline: Deadline;
  /** Receives what is still under way when the deadline passes. */
  readonly pending: Promise<unknown>[];
  found: Look;
  added?: Mapping;
  result?: MapResult;
}

export const mapSteps: readonly Step<MappingWork>[] = [
  step('ceph.map.before-add', unmapProbed, {
    does: 'a mapping that a probe left, read-only, is unmapped where more is wanted',
    leaves: { id: 'not-mapped', says: 'no mapping' },
    mendedBy: { by: ['again'], says: '' },
    when: (work) => work.found.adopted === undefined || isProbed(work),
  }),
  step('ceph.map.after-add', add, {
    does: 'one write to `/sys/bus/rbd/add`',
    leaves: { id: 'mapped-unnoted', says: 'a mapping that no record names' },
    mendedBy: {
      by: ['again'],
      says: "the next attach adopts it: same image, same cluster, acceptable features; `rbdsr mappings` explains it. A probe's is read-only: an attach unmaps it first",
    },
    when: ({ found }) => found.adopted === undefined,
  }),
  lastStep(identify, 'identity and features are checked; a wrong one is unmapped'),
];

function isProbed({ host, request, found: { adopted } }: MappingWork): boolean {
  return adopted !== undefined && request.readOnly !== true && isReadOnly(host.roots, adopted);
}

async function unmapProbed(work: MappingWork): Promise<void> {
  const { host, access, spec, request, deadline, pending, found } = work;
  if (found.adopted === undefined) return;
  try {
    await unmapLocked(host, found.adopted, {}, deadline, pending);
  } catch (error) {
    throw hasCode(error, 'device-busy') ? readOnlyInUse(found.adopted, error) : error;
  }
  work.found = await look(host, access, spec, request, deadline);
}

async function add(work: MappingWork): Promise<void> {
  const { host, access, spec, request, deadline, pending, found } = work;
  const before = listMappings(host.roots);
  const { monitors } = found;
  work.added = await addMapping(host, { access, spec, request, monitors, before, pending }, deadline);
}

async function identify(work: MappingWork): Promise<void> {
  const { host, deadline, pending, added, found } = work;
  if (found.adopted !== undefined) {
    checkFeatures(host, found.adopted);
    work.result = { mapping: found.adopted, isNew: false };
  }
  if (added === undefined) return;
  const unmap = (): Promise<void> => unmapLocked(host, added, {}, deadline.forCleanUp(), pending);
  work.result = await identified(work, added, unmap);
}

/** What came to be must be in the cluster that was meant, and carry no feature that RBDSR refuses. */
async function identified(
  { host, request, found: { unsure } }: MappingWork,
  mapping: Mapping,
  unmap: () => Promise<void>,
): Promise<MapResult> {
  try {
    if (request.fsid !== undefined && mapping.fsid === undefined) {
      throw unknownCluster(mapping.spec, mapping, { fsid: request.fsid });
    }
    if (request.fsid !== undefined && mapping.fsid !== request.fsid) throw otherCluster(mapping, request.fsid);
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

function readOnlyInUse({ device, spec }: Mapping, error: RbdsrError): RbdsrError {
  return new RbdsrError('device-busy', {
    ...error.detail,
    what: `${device}, image ${formatSpec(spec)}, is mapped read-only, and cannot be mapped anew to be written to while it is in use`,
    cause: error,
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
