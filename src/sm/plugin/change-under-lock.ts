import type { VdiUuid } from '../../base/ids.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * On the pool master, for another host: what `byMaster` does here for this one. After a failure the lock stays until
 * the command ends.
 */
export async function changeUnderLock(
  call: PluginCall,
  change: (call: PluginCall, sr: AttachedSr, vdi: VdiUuid) => Promise<void>,
): Promise<string> {
  const sr = await openAttachedSr(call);
  const lock = await call.lockSr(sr.uuid);
  await change(call, sr, call.vdi);
  await lock.release();
  return 'True';
}
