import { vdiUuid } from '../../base/ids.ts';
import { lateWriter } from '../../sr/work/late-writers.ts';
import type { PluginCall } from './plugin-call.ts';
import { argument } from './plugin-request.ts';
import { isBeingShrunk } from './shrinking.ts';

/**
 * On the pool master: a host that has left marks on these disks (`vdi_uuids`, joined by commas) asks whether anything
 * that it had the master do to them, or another late write, may still land. Waits for nothing: whoever asks has a lock
 * that others want.
 */
export async function isSettled(call: PluginCall): Promise<string> {
  const { paths } = call.profile;
  if (lateWriter(paths, call.sr) !== undefined) return 'False';
  const vdis = argument(call.args, 'is_settled', 'vdi_uuids').split(',').map(vdiUuid);
  return vdis.some((vdi) => isBeingShrunk(paths, vdi)) ? 'False' : 'True';
}
