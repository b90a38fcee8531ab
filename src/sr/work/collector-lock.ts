import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Deadline } from '../../base/deadline.ts';
import type { SrUuid } from '../../base/ids.ts';
import type { HostPaths } from '../../dom0/host-profile.ts';
import { ensureDir, removeIfExists, writeFileAtomic } from '../../system/files.ts';
import { type HeldLock, type LockHolder, lockHolder, takeRecordLock } from '../../system/locks/record-lock.ts';

/**
 * One collector for an SR on a host: 'lock-busy' at once beside another. A lock of our own, held while data are copied
 * too: for stock's locks of the SR a hook of HA's waits (stock-sr-locks.ts).
 */
export async function becomeCollector(paths: Paths, sr: SrUuid, deadline: Deadline): Promise<HeldLock> {
  const path = lockOf(paths, sr);
  ensureDir(dirname(path), 0o755);
  return takeRecordLock(path, { wait: false, deadline });
}

/** Another process of this host that collects the SR. */
export function collectorAtWork(paths: Paths, sr: SrUuid): LockHolder | undefined {
  return lockHolder(lockOf(paths, sr));
}

/** There is something to collect: whoever collects next looks after this, or looks again. */
export function orderCollection(paths: Paths, sr: SrUuid): void {
  const path = orderOf(paths, sr);
  ensureDir(dirname(path), 0o755);
  writeFileAtomic(path, '', 0o644);
}

export function isCollectionOrdered(paths: Paths, sr: SrUuid): boolean {
  return existsSync(orderOf(paths, sr));
}

/** By the collector, before it looks. */
export function takeOrder(paths: Paths, sr: SrUuid): void {
  removeIfExists(orderOf(paths, sr));
}

type Paths = Pick<HostPaths, 'runDir'>;

function lockOf({ runDir }: Paths, sr: SrUuid): string {
  return `${runDir}/gc/${sr}.lock`;
}

function orderOf({ runDir }: Paths, sr: SrUuid): string {
  return `${runDir}/gc/${sr}.order`;
}
