import { hasCode, RbdsrError } from '../../base/error.ts';
import { nowMs } from '../../base/now.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { type HeldLock, lockHolder } from '../../system/locks/record-lock.ts';
import type { HostPaths } from '../../dom0/host-profile.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * On the pool master: held for a disk by a shrinking for another host, from before that waits for anything and, where
 * it comes late, until its process ends. So whoever asks for the same again learns that it is not over, and not merely
 * that somebody has the SR's lock.
 */
export async function lockShrinking(call: PluginCall): Promise<HeldLock> {
  const started = nowMs();
  try {
    return await call.lock(FOLDER, call.vdi);
  } catch (error) {
    if (!hasCode(error, 'lock-busy')) throw error;
    const earlier = call.deadline.exceeded(`an earlier shrinking of the volume of VDI ${call.vdi} to end`, started);
    throw new RbdsrError('deadline', { ...earlier.detail, found: error.detail.found ?? 'no answer', cause: error });
  }
}

/** By another process. */
export function isBeingShrunk({ lockDir }: Pick<HostPaths, 'lockDir'>, vdi: VdiUuid): boolean {
  return lockHolder(`${lockDir}/${FOLDER}/${vdi}`) !== undefined;
}

const FOLDER = 'rbdsr-shrinking';
