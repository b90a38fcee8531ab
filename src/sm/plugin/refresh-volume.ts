import { vdiOfLv } from '../../lvhd/names.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { reportOf } from '../../sr/read-sr.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * Where the volume of a disk is active on this host: its device gets the size that LVM's metadata say, after the master
 * has changed them. Takes no lock: an activation here may hold the disk's while it waits for the master, which waits
 * for this.
 */
export async function refreshVolume(call: PluginCall): Promise<string> {
  const sr = await openAttachedSr(call);
  call.waiting(`LVM to read ${sr.vg}`);
  for (const { name, active } of (await reportOf(sr)).lvs) {
    if (!active || vdiOfLv(name)?.uuid !== call.vdi) continue;
    call.waiting(`LVM to refresh ${name}`);
    await sr.lvm.refresh(name);
  }
  return 'True';
}
