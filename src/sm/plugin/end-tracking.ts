import { endTrackingOf } from '../../sr/disk/changed-blocks.ts';
import { changeUnderLock } from './change-under-lock.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * On the pool master, before another host writes to a disk whose changes the stock driver has tracked; no log any more:
 * nothing happens.
 */
export function endTrackingForHost(call: PluginCall): Promise<string> {
  return changeUnderLock(call, endTrackingOf);
}
