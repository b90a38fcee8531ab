import { releaseNode } from '../../lvhd/chain-replacement.ts';
import { vdiOfLv } from '../../lvhd/names.ts';
import { activationWorld } from '../../sr/disk/vdi-target.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { reportOf } from '../../sr/read-sr.ts';
import { collectorAtWork } from '../../sr/work/collector-lock.ts';
import { hostRefOf } from '../../sr/work/subject.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * The master has found a node on which nothing hangs any more, and is about to remove it: if its volume is active here,
 * it is not afterwards. Fails where something has it open; "False" where a collector that lives here may write into it.
 */
export async function releaseForMaster(call: PluginCall): Promise<string> {
  // A former master's, which may write into the node, and finds out only afterwards that it may not.
  const isOthers = call.args['host_ref'] !== hostRefOf(call);
  if (isOthers && collectorAtWork(call.profile.paths, call.sr) !== undefined) return 'False';
  const sr = await openAttachedSr(call);
  call.waiting(`LVM to read ${sr.vg}`);
  const { lvs } = await reportOf(sr);
  const found = lvs.find(({ name }) => vdiOfLv(name)?.uuid === call.vdi && vdiOfLv(name)?.old === false);
  call.waiting(`LVM to deactivate the volume of VDI ${call.vdi}`);
  await releaseNode(activationWorld(call, sr), call.vdi, found);
  return 'True';
}
