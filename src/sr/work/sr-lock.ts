import type { Deadline } from '../../base/deadline.ts';
import type { SrUuid } from '../../base/ids.ts';
import type { HostPaths } from '../../dom0/host-profile.ts';
import { awaitLateWriters, becomeLateWriter } from './late-writers.ts';
import { takeRecordLock } from '../../system/locks/record-lock.ts';

/**
 * Works under the SR's lock, as a command of xapi's does. HA waits for that lock: it goes at the deadline, and when the
 * operator ends the command, although what that has started may be on its way yet; then this process is a late writer
 * until it ends. 'lock-busy' at once where another has the lock, or is late.
 */
export async function withSrLock<T>(
  paths: Pick<HostPaths, 'lockDir' | 'runDir'>,
  sr: SrUuid,
  deadline: Deadline,
  work: () => Promise<T>,
): Promise<T> {
  await awaitLateWriters(paths, sr, { wait: false, deadline });
  await using lock = await takeRecordLock(`${paths.lockDir}/${sr}/sr`, { wait: false, deadline });
  // One may have come in between.
  await awaitLateWriters(paths, sr, { wait: false, deadline });
  const letGo = async (): Promise<void> => {
    await becomeLateWriter(paths, sr, deadline);
    await lock.release();
  };
  const timer = setTimeout(() => void letGo(), deadline.leftMs);
  const end = (_signal: string, number: number): void => {
    void letGo().finally(() => process.exit(128 + number));
  };
  for (const signal of SIGNALS) process.once(signal, end);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    for (const signal of SIGNALS) process.off(signal, end);
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
