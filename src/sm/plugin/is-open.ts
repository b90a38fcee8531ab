import { giveUpMark } from '../../sr/hosts/give-up-mark.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * Another host has found this host's mark on a disk and asks whether anything is open here; where nothing is, the mark
 * goes.
 */
export async function isOpen(call: PluginCall): Promise<string> {
  const isGone = await giveUpMark(call, call, { srLocked: call.args['sr_locked'] === 'True' });
  return isGone ? 'False' : 'True';
}
