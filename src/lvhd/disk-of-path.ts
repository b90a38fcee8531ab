import type { DiskId } from '../datapath/datapath.ts';
import { srOfVg, vdiOfLv } from './names.ts';

/** The disk whose volume has the path `/dev/VG_XenStorage-<sr>/<prefix><vdi>`, whichever kind the prefix says. */
export function diskOfPath(path: string): DiskId | undefined {
  const [, vg = '', lv = ''] = /^\/dev\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const [sr, disk] = [srOfVg(vg), vdiOfLv(lv)];
  return sr === undefined || disk === undefined || disk.old ? undefined : { sr, vdi: disk.uuid };
}
