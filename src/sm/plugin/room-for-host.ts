import { RbdsrError } from '../../base/error.ts';
import { vdiByUuid, vdiSmConfig } from '../../xapi/vdi.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { activeHosts } from '../../sr/hosts/host-keys.ts';
import { growVolume, shrinkVolume } from '../../sr/disk/vdi-room.ts';
import type { PluginCall } from './plugin-call.ts';
import { argument } from './plugin-request.ts';
import { lockShrinking } from './shrinking.ts';

/**
 * Grows the volume of a thin disk before another host activates it for writing; done already: nothing happens. The
 * steps, under the SR's lock, are those of src/lvhd/ops/inflate.ts.
 */
export async function inflateForHost(call: PluginCall): Promise<string> {
  const sr = await openAttachedSr(call);
  const lock = await call.lockSr(sr.uuid);
  await growVolume(call, sr, call.vdi);
  await lock.release();
  return 'True';
}

/**
 * Gives back what a thin disk does not use, after another host (`host_ref`) has deactivated it and while its mark in
 * xapi still keeps all others away: a shrinking that comes late would cut off what the next one writes. 'vdi-in-use'
 * where the mark is not that host's alone, 'deadline' where an earlier shrinking of the disk is not over.
 */
export async function deflateForHost(call: PluginCall): Promise<string> {
  const host = argument(call.args, 'deflate', 'host_ref');
  const shrinking = await lockShrinking(call);
  const sr = await openAttachedSr(call);
  const lock = await call.lockSr(sr.uuid);
  const xapi = await call.xapi();
  const hosts = activeHosts(await vdiSmConfig(xapi, await vdiByUuid(xapi, call.vdi)));
  if (hosts.length !== 1 || hosts[0] !== host) {
    throw new RbdsrError('vdi-in-use', {
      what: `the volume of VDI ${call.vdi} is not shrunk`,
      expected: `the mark of ${host} in its sm_config and no other`,
      found: hosts.length === 0 ? 'none' : hosts.join(', '),
    });
  }
  await shrinkVolume(call, sr, call.vdi);
  await lock.release();
  await shrinking.release();
  return 'True';
}
