import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { pauseHere, resumeHere } from '../../sr/disk/pause-here.ts';
import type { PluginCall } from './plugin-call.ts';

/** The master is about to give the disk's volumes other names or sizes. */
export async function pauseForMaster(call: PluginCall): Promise<string> {
  await pauseHere(call, await openAttachedSr(call), call.vdi);
  return 'True';
}

/** It has, or has given up. */
export async function resumeForMaster(call: PluginCall): Promise<string> {
  await resumeHere(call, await openAttachedSr(call), call.vdi);
  return 'True';
}
