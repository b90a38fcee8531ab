import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { errnoName } from '../../system/errno-name.ts';
import { describeOpeners, type DeviceOpeners, openersOf } from '../../system/openers.ts';
import { runSteps } from '../../system/running-steps.ts';
import { writeAttribute } from '../../system/waiting-sysfs.ts';
import { withImageLock } from './image-lock.ts';
import { formatSpec, sameSpec } from '../image/image-spec.ts';
import type { KrbdHost } from './krbd-host.ts';
import { controlFiles, readMapping } from './krbd-sysfs.ts';
import type { Mapping } from './mapping.ts';
import { sizeByReading } from './prove-mapping.ts';
import { isOnlyUdev, openersOnceUdevIsDone, UDEV_MS } from './udev-openers.ts';

export interface UnmapOptions {
  readonly force?: boolean;
}

/** Unmaps under the image's lock. */
export async function unmapImage(
  host: KrbdHost,
  mapping: Mapping,
  options: UnmapOptions,
  deadline: Deadline,
): Promise<void> {
  await withImageLock(host.lockDir, mapping.spec, deadline, (pending) =>
    unmapLocked(host, mapping, options, deadline, pending),
  );
}

/**
 * For a caller that holds the lock. Looks first whether the index still is this very mapping: another may have taken
 * its number.
 */
export async function unmapLocked(
  host: KrbdHost,
  mapping: Mapping,
  options: UnmapOptions,
  deadline: Deadline,
  pending: Promise<unknown>[],
): Promise<void> {
  if (!isStillThere(host, mapping)) return;
  const files = controlFiles(host.roots);
  if (files === undefined) return;
  await runSteps(unmapSteps, { host, mapping, force: options.force === true, file: files.remove, deadline, pending });
}

/** The unmapping of one image. */
interface Unmapping {
  readonly host: KrbdHost;
  readonly mapping: Mapping;
  readonly force: boolean;
  /** Of sysfs. */
  readonly file: string;
  readonly deadline: Deadline;
  /** Receives what is still under way when the deadline passes. */
  readonly pending: Promise<unknown>[];
}

const again: Mending = { by: ['again'], says: 'the same command again' };

export const unmapSteps: readonly Step<Unmapping>[] = [
  step('ceph.unmap.before-remove', refuseUnlessFree, {
    does: 'who has the device open is looked for, and refused',
    leaves: { id: 'mapped-noted', says: 'the mapping, as before' },
    mendedBy: again,
  }),
  step('ceph.unmap.after-remove', remove, {
    does: 'one write to `/sys/bus/rbd/remove`',
    leaves: { id: 'not-mapped-noted', says: 'no mapping; at a detach, what sr_attach has noted' },
    mendedBy: again,
  }),
  lastStep(waitUntilGone, 'the device goes away'),
];

async function refuseUnlessFree({ host, mapping, force, deadline }: Unmapping): Promise<void> {
  if (!force) await refuseIfOpen(mapping, [], deadline);
  else if (!host.kernel.forcedRemove) throw cannotForce(host, mapping);
  if (!host.kernel.opensBesideRemove) await refuseUnlessAnswered(mapping, deadline);
}

/** A removal that waits for its OSDs would keep every other image of such a host from being opened, and closed. */
async function refuseUnlessAnswered(mapping: Mapping, deadline: Deadline): Promise<void> {
  try {
    await sizeByReading(mapping, deadline);
  } catch (error) {
    if (!hasCode(error, 'device-missing', 'io')) throw error;
  }
}

async function remove({ mapping, force, file, deadline, pending }: Unmapping): Promise<void> {
  const text = force ? `${mapping.index} force` : String(mapping.index);
  const write = removeOnceFree(mapping, file, text, deadline);
  try {
    await deadline.race(write, `the kernel to unmap ${mapping.device}`);
  } catch (error) {
    if (hasCode(error, 'deadline')) {
      pending.push(write);
      throw error;
    }
    explain(mapping, error as NodeJS.ErrnoException);
  }
}

async function waitUntilGone({ host, mapping, deadline }: Unmapping): Promise<void> {
  await deadline.until(() => (isStillThere(host, mapping) ? undefined : true), `${mapping.device} to go away`, 20);
}

/**
 * 'device-busy' when somebody has the device open, `ours` left out: names of devices on it that the caller will take
 * away itself.
 */
export async function refuseIfOpen(mapping: Mapping, ours: readonly string[], deadline: Deadline): Promise<void> {
  const who = describeOpeners(await openersOnceUdevIsDone(() => openersBut(ours, mapping), deadline));
  if (who !== undefined) throw busy(mapping, who);
}

function openersBut(ours: readonly string[], { major, minor }: Mapping): DeviceOpeners {
  const all = openersOf({ major, minor });
  return { ...all, holders: all.holders.filter((name) => !ours.includes(name)) };
}

/** False when nothing, or another mapping, has this number now. */
function isStillThere(host: KrbdHost, mapping: Mapping): boolean {
  const now = readMapping(host.roots, mapping.index);
  return now !== undefined && sameSpec(now.spec, mapping.spec) && now.clientId === mapping.clientId;
}

/**
 * One write; again for a moment where the kernel says EBUSY and nobody can be seen: udev comes and goes between two
 * looks.
 */
async function removeOnceFree(mapping: Mapping, file: string, text: string, deadline: Deadline): Promise<void> {
  const until = deadline.within(UDEV_MS);
  for (;;) {
    try {
      await writeAttribute(file, text);
      return;
    } catch (error) {
      const who = openersOf({ major: mapping.major, minor: mapping.minor });
      const isPassing = describeOpeners(who) === undefined || isOnlyUdev(who);
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || !isPassing || until.leftMs < 500) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Returns for what means "already gone"; throws otherwise. */
function explain(mapping: Mapping, error: NodeJS.ErrnoException): void {
  if (error.code === 'ENOENT' || error.code === 'ENODEV') return;
  if (error.code === 'EBUSY') {
    const who = describeOpeners(openersOf({ major: mapping.major, minor: mapping.minor }));
    throw busy(
      mapping,
      who ?? 'somebody in the kernel who shows neither as a process nor as a holder, or who has just let go',
    );
  }
  if (error.code === 'EINPROGRESS') return;
  throw new RbdsrError('io', {
    what: `the kernel refused to unmap ${mapping.device}, ${formatSpec(mapping.spec)}`,
    found: errnoName(error) ?? error.message,
    facts: { device: mapping.device, errno: errnoName(error) ?? '' },
    cause: error,
  });
}

function busy(mapping: Mapping, who: string): RbdsrError {
  return new RbdsrError('device-busy', {
    what: `${mapping.device}, image ${formatSpec(mapping.spec)}, is in use and stays mapped`,
    expected: 'nobody to have it open',
    found: who,
    todo: 'End what uses it, then try again. Nothing was changed.',
    facts: { device: mapping.device, openers: who },
  });
}

function cannotForce(host: KrbdHost, mapping: Mapping): RbdsrError {
  return new RbdsrError('kernel-unsupported', {
    what: `this host's kernel cannot unmap ${mapping.device} by force`,
    expected: 'Linux 4.9 or later',
    found: `Linux ${host.kernel.release}`,
  });
}
