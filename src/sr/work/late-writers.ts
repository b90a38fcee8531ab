import { setTimeout as pause } from 'node:timers/promises';
import { nowMs } from '../../base/now.ts';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { SrUuid } from '../../base/ids.ts';
import { type HeldLock, type LockHolder, lockHolder, takeRecordLock } from '../../system/locks/record-lock.ts';
import type { HostPaths } from '../../dom0/host-profile.ts';

/**
 * A late writer is a command whose answer has been given although something it started is still on its way to the SR: a
 * thread or a program that the kernel has not let go. It holds this lock, shared, since there may be several, until its
 * process ends. Whoever changes anything of an SR on this host asks for late writers first, and the collector is no
 * exception.
 *
 * It is a lock of our own, outside the folders that stock cleans up, since stock's locks of an SR (stock-sr-locks.ts)
 * have to be free when a command has been answered: docs/decisions/0017-late-writers.md.
 */
export async function becomeLateWriter(paths: Paths, sr: SrUuid, deadline: Deadline): Promise<HeldLock> {
  return takeRecordLock(lateLock(paths, sr), { wait: false, shared: true, deadline });
}

/**
 * The same for a command of which nothing but reads is on its way, and which goes no further than these: of one block
 * that nobody serves, such as a header in an inactive placement group, only those are told that would read all of them
 * again. Nobody else waits for it.
 */
export async function becomeLateReader(paths: Paths, sr: SrUuid, deadline: Deadline): Promise<HeldLock> {
  return takeRecordLock(lateReaderLock(paths, sr), { wait: false, shared: true, deadline });
}

/**
 * 'lock-busy' at once, where an earlier command has not come back from reading all of the SR: another would only be
 * stuck beside it.
 */
export function refuseBesideLateReader(paths: Paths, sr: SrUuid): void {
  const path = lateReaderLock(paths, sr);
  const holder = lockHolder(path);
  if (holder === undefined) return;
  throw new RbdsrError('lock-busy', {
    what: `an earlier command that reads what is on SR ${sr} has had no answer yet (${path})`,
    expected: 'its process to end before the SR is read as a whole again; disks can be used meanwhile',
    found: holder.description,
    todo: 'It ends when the cluster answers it: `ceph health detail` names placement groups that serve nothing.',
    facts: { path, holder: holder.pid },
  });
}

/** Another process that is late with the SR. */
export function lateWriter(paths: Paths, sr: SrUuid): LockHolder | undefined {
  return lockHolder(lateLock(paths, sr));
}

/**
 * 'lock-busy' names the late writer, at once or, with `wait`, at the deadline. The caller holds none of stock's locks
 * of the SR meanwhile.
 */
export async function awaitLateWriters(
  paths: Paths,
  sr: SrUuid,
  options: { readonly wait: boolean; readonly deadline: Deadline },
): Promise<void> {
  const started = nowMs();
  for (;;) {
    const holder = lateWriter(paths, sr);
    if (holder === undefined) return;
    if (!options.wait || options.deadline.leftMs <= POLL_MS) throw busy(paths, sr, holder, nowMs() - started);
    await pause(POLL_MS);
  }
}

/** Whether the text of an error, which another host may have passed on, tells of a late writer. */
export function tellsOfLateWriter(text: string): boolean {
  return text.includes(STILL_WAITS);
}

const STILL_WAITS = 'still waits for the cluster, and what it writes may land at any time';

const POLL_MS = 50;

type Paths = Pick<HostPaths, 'runDir'>;

function lateLock({ runDir }: Paths, sr: SrUuid): string {
  return `${runDir}/late/${sr}.lock`;
}

function lateReaderLock({ runDir }: Paths, sr: SrUuid): string {
  return `${runDir}/late/${sr}.reader.lock`;
}

function busy(paths: Paths, sr: SrUuid, holder: LockHolder, waitedMs: number): RbdsrError {
  const path = lateLock(paths, sr);
  return new RbdsrError('lock-busy', {
    what: `an earlier command on SR ${sr} ${STILL_WAITS} (${path})`,
    expected: `its process to end, waited ${(waitedMs / 1000).toFixed(1)} s`,
    found: holder.description,
    todo: 'It ends when the cluster answers it: `ceph -s` shows what is wrong there. Killing it does not help.',
    facts: { path, holder: holder.pid },
  });
}
