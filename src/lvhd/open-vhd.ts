import type { BlockIo } from '../base/block-io.ts';
import { VhdImage } from '../vhd/image/image.ts';

/**
 * The VHD in a logical volume, by the footer that the scan of its SR sees, the copy at byte 0: what stands at the end
 * of a volume may be of another disk, or of this one at an earlier time (`findFooter`).
 */
export function openVhd(io: BlockIo, mode: 'read' | 'write'): Promise<VhdImage> {
  return VhdImage.open(io, mode, { copyFirst: true });
}
