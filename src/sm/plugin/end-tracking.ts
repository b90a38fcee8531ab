import { endTrackingOf } from '../../sr/disk/changed-blocks.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * On the pool master, before another host writes to a disk whose changes the stock driver has tracked; no log any more:
 * nothing happens.
 */
export async function endTrackingForHost(call: PluginCall): Promise<string> {
  const sr = await openAttachedSr(call);
  const lock = await call.lockSr(sr.uuid);
  await endTrackingOf(call, sr, call.vdi);
  await lock.release();
  return 'True';
}
