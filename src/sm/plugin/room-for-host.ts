import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { vdiByUuid, vdiSmConfig } from '../../xapi/vdi.ts';
import type { SrWork } from '../../sr/work/work.ts';
import { activeHosts } from '../../sr/hosts/host-keys.ts';
import { growVolume, shrinkVolume } from '../../sr/disk/vdi-room.ts';
import { changeUnderLock } from './change-under-lock.ts';
import type { PluginCall } from './plugin-call.ts';
import { argument } from './plugin-request.ts';
import { lockShrinking } from './shrinking.ts';

/**
 * Grows the volume of a thin disk before another host activates it for writing; done already: nothing happens. The
 * steps, under the SR's lock, are those of src/lvhd/ops/inflate.ts.
 */
export function inflateForHost(call: PluginCall): Promise<string> {
  return changeUnderLock(call, growVolume);
}

/**
 * Gives back what a thin disk does not use, after another host (`host_ref`) has deactivated it and while its mark in
 * xapi still keeps all others away: a shrinking that comes late would cut off what the next one writes. 'vdi-in-use'
 * where the mark is not that host's alone, 'deadline' where an earlier shrinking of the disk is not over.
 */
export async function deflateForHost(call: PluginCall): Promise<string> {
  const host = argument(call.args, 'deflate', 'host_ref');
  const shrinking = await lockShrinking(call);
  const answer = await changeUnderLock(call, async (work, sr, vdi) => {
    await checkMarkedAlone(work, vdi, host);
    await shrinkVolume(work, sr, vdi);
  });
  await shrinking.release();
  return answer;
}

async function checkMarkedAlone(work: SrWork, vdi: VdiUuid, host: string): Promise<void> {
  const xapi = await work.xapi();
  const hosts = activeHosts(await vdiSmConfig(xapi, await vdiByUuid(xapi, vdi)));
  if (hosts.length !== 1 || hosts[0] !== host) {
    throw new RbdsrError('vdi-in-use', {
      what: `the volume of VDI ${vdi} is not shrunk`,
      expected: `the mark of ${host} in its sm_config and no other`,
      found: hosts.length === 0 ? 'none' : hosts.join(', '),
    });
  }
}
