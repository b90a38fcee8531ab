import type { BlockIo } from '../base/block-io.ts';
import type { LvReport } from '../lvm/report.ts';
import { VhdImage } from '../vhd/image/image.ts';
import type { OpenLv } from './journal/journals.ts';

/**
 * The VHD in a logical volume, by the footer that the scan of its SR sees, the copy at byte 0: what stands at the end
 * of a volume may be of another disk, or of this one at an earlier time (`findFooter`).
 */
export function openVhd(io: BlockIo, mode: 'read' | 'write'): Promise<VhdImage> {
  return VhdImage.open(io, mode, { copyFirst: true });
}

/** For one use of the VHD in a volume that LVM has just told of; it is closed afterwards, whatever becomes of that. */
export async function withVhd<T>(
  openLv: OpenLv,
  lv: LvReport,
  mode: 'read' | 'write',
  use: (image: VhdImage) => T | Promise<T>,
): Promise<T> {
  const io = await openLv(lv.name, mode, lv);
  try {
    return await use(await openVhd(io, mode));
  } finally {
    await io.close();
  }
}
