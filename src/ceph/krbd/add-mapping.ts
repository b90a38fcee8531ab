import { randomBytes } from 'node:crypto';
import { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { errnoName } from '../../system/errno-name.ts';
import { addKernelKey } from '../../system/libc/keyring.ts';
import type { KernelKey } from '../../system/libc/keyring.ts';
import { writeAttribute } from '../../system/waiting-sysfs.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { keyTypeOf } from '../cluster/cephx-key.ts';
import { formatSpec, sameSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import { kernelKeys, refuseUnusableKey } from './kernel-keys.ts';
import { openKernelLog } from './kernel-log.ts';
import { readKernelMessages } from './kernel-messages.ts';
import type { KernelFinding } from './kernel-messages.ts';
import type { KrbdHost, MapRequest } from './krbd-host.ts';
import { controlFiles, listMappings } from './krbd-sysfs.ts';
import { mapFailure } from './map-failure.ts';
import { mapLine } from './map-line.ts';
import type { Mapping } from './mapping.ts';
import { chooseMonitors } from './choose-monitors.ts';
import { formatMonitors } from '../cluster/monitors.ts';
import type { MonitorAddress } from '../cluster/monitors.ts';
import { unmapLocked } from './unmap-image.ts';

export interface AddRequest {
  readonly access: ClusterAccess;
  readonly spec: ImageSpec;
  readonly request: MapRequest;
  /** Addresses, resolved. */
  readonly monitors: readonly MonitorAddress[];
  /** What was mapped before. */
  readonly before: readonly Mapping[];
  /** Receives what is still under way when the deadline passes. */
  readonly pending: Promise<unknown>[];
}

/**
 * Asks the monitors whether they are there, then tells the kernel to map. The key travels through the kernel keyring,
 * because the kernel keeps the whole line readable in `config_info`; only where that fails is it part of the line.
 */
export async function addMapping(host: KrbdHost, add: AddRequest, deadline: Deadline): Promise<Mapping> {
  await refuseUnusableKey(add.access, kernelKeys(host.kernel), deadline);
  const chosen = await chooseMonitors(add.monitors, add.request.options, host.kernel, deadline);
  const viaKeyring = await attempt(host, add, chosen, 'keyring', deadline);
  const outcome = viaKeyring.end === 'no-key' ? await attempt(host, add, chosen, 'line', deadline) : viaKeyring;
  if (outcome.end === 'mapped') return newMapping(host, add);
  throw mapFailure({
    spec: add.spec,
    user: add.access.user,
    keyType: keyTypeOf(add.access.key),
    monitors: formatMonitors(add.monitors),
    errno: outcome.errno,
    findings: outcome.findings,
    kernel: host.kernel,
    answering: chosen.monitors.length,
  });
}

type ChosenMonitors = Awaited<ReturnType<typeof chooseMonitors>>;

type Attempt =
  | { readonly end: 'mapped' }
  | { readonly end: 'no-key' | 'failed'; readonly errno: string; readonly findings: readonly KernelFinding[] };

async function attempt(
  host: KrbdHost,
  add: AddRequest,
  chosen: ChosenMonitors,
  keyBy: 'keyring' | 'line',
  deadline: Deadline,
): Promise<Attempt> {
  const files = controlFiles(host.roots);
  if (files === undefined) throw moduleMissing();
  const name = `rbdsr-${randomBytes(12).toString('hex')}`;
  let key: KernelKey | undefined;
  if (keyBy === 'keyring') {
    try {
      key = await addKernelKey('ceph', name, add.access.key);
    } catch (error) {
      if (!(error instanceof RbdsrError)) throw error;
      return { end: 'no-key', errno: 'ENOKEY', findings: [] };
    }
  }
  const line = mapLine({
    monitors: chosen.monitors,
    user: add.access.user,
    key: key === undefined ? `secret=${add.access.key.reveal()}` : `key=${name}`,
    spec: add.spec,
    readOnly: add.request.readOnly === true,
    options: [...add.request.options, ...chosen.options],
    mountTimeoutSeconds: Math.min(30, Math.max(5, Math.floor(deadline.leftMs / 1000) - 3)),
  });
  const log = openKernelLog(host.kernelLog);
  const write = tell(files.add, line, key);
  try {
    await deadline.race(write, `the kernel to map ${formatSpec(add.spec)}`);
    return { end: 'mapped' };
  } catch (error) {
    if (hasCode(error, 'deadline')) {
      add.pending.push(undoLateMapping(host, add, write));
      throw error;
    }
    if (error instanceof RbdsrError) throw error;
    const errno = errnoName(error) ?? 'EIO';
    const findings = readKernelMessages(log.lines());
    return { end: lacksKey(errno, findings, key) ? 'no-key' : 'failed', errno, findings };
  } finally {
    log.close();
  }
}

/**
 * The call has been answered by then: what the kernel maps now is nobody's. The caller keeps the image's lock until
 * this has ended.
 */
async function undoLateMapping(host: KrbdHost, add: AddRequest, write: Promise<void>): Promise<void> {
  const pending: Promise<unknown>[] = [];
  try {
    await write;
    const deadline = Deadline.after(UNDO_MS);
    const mapping = newMapping(host, add);
    // udev, and what its rules start, look at every new device for a moment.
    const isGone = async (): Promise<true | undefined> => {
      try {
        await unmapLocked(host, mapping, {}, deadline, pending);
        return true;
      } catch (error) {
        if (hasCode(error, 'device-busy')) return undefined;
        throw error;
      }
    };
    await deadline.until(isGone, `${mapping.device} to be free`, 500);
  } catch {
    // Not mapped after all; or in use by somebody who was quick, and then it stays and the next attempt adopts it.
  }
  await Promise.allSettled(pending);
}

const UNDO_MS = 60_000;

async function tell(path: string, line: string, key: KernelKey | undefined): Promise<void> {
  try {
    await writeAttribute(path, line);
  } finally {
    // What the write did counts; a key that could not be taken back stays readable for root alone.
    await key?.revoke().catch(() => {});
  }
}

/** The kernel did not find the key we named: EPERM, and no word of the monitors having refused it. */
function lacksKey(errno: string, findings: readonly KernelFinding[], key: KernelKey | undefined): boolean {
  if (key === undefined) return false;
  if (findings.some(({ kind }) => kind === 'no-key')) return true;
  return (
    (errno === 'EPERM' || errno === 'ENOKEY') && !findings.some(({ kind }) => kind === 'auth' || kind === 'auth-mode')
  );
}

function newMapping(host: KrbdHost, add: AddRequest): Mapping {
  const known = new Set(add.before.map(tag));
  const fresh = listMappings(host.roots).filter(
    (mapping) => !known.has(tag(mapping)) && sameSpec(mapping.spec, add.spec),
  );
  const [mapping] = fresh;
  if (mapping !== undefined && fresh.length === 1) return mapping;
  throw new RbdsrError(mapping === undefined ? 'device-missing' : 'device-ambiguous', {
    what: `the kernel has mapped ${formatSpec(add.spec)}, but it cannot be told under which device`,
    expected: 'one new device in /sys/bus/rbd/devices',
    found: fresh.length === 0 ? 'none' : fresh.map(({ device }) => device).join(', '),
  });
}

function tag({ index, clientId }: Mapping): string {
  return `${index} ${clientId ?? ''}`;
}

function moduleMissing(): RbdsrError {
  return new RbdsrError('kernel-module-missing', {
    what: "the kernel's RBD client is not there",
    expected: '/sys/bus/rbd/add or /sys/bus/rbd/add_single_major',
    todo: '`modprobe rbd` loads it; its error says why not.',
    facts: { module: 'rbd' },
  });
}
