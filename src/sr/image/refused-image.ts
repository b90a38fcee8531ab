import { hasCode } from '../../base/error.ts';
import { type UnreadVolume, unreadVolumes } from '../../lvm/unread-volumes.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { vdiOfLv } from '../../lvhd/names.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { readOnce } from '../../system/io/answered.ts';
import type { AttachedSr } from '../attached-sr.ts';
import type { SrWork } from '../work/work.ts';

/**
 * Whether a read failed because the cluster has answered it with an error, as it answers each of a client that is
 * fenced (linux `rbd.c`: EIO; older ones pass on the ESHUTDOWN of libceph). An answer that does not come, ETIMEDOUT, is
 * none: what was written before may still land.
 */
export function isRefused(error: unknown): boolean {
  return hasCode(error, 'io') && REFUSALS.includes(String(error.detail.facts?.['errno']));
}

const REFUSALS = ['EIO', 'ESHUTDOWN'];

/**
 * The same by a look of its own, at the beginning of the image. What does not answer soon is none: whoever asks has
 * something else to tell.
 */
export async function isImageRefused(work: SrWork, { uuid, mapping }: AttachedSr): Promise<boolean> {
  const patience = work.deadline.within(Math.min(LOOK_MS, work.deadline.leftMs / 2));
  const look = (): Promise<number> => openBlockIo(mapping.device, 'read').then(readOnce);
  try {
    await work.reading(uuid, () => patience.race(look(), `a read of 4 KiB from ${mapping.device}`), { whole: false });
    return false;
  } catch (error) {
    return isRefused(error);
  }
}

const LOOK_MS = 5000;

/**
 * The volume of a disk of such an image, where it is active here: by its name, for its header cannot be read. Another
 * driver's counts, too.
 */
export function unreadVolumeOf({ mapping, vg }: AttachedSr, vdi: VdiUuid): UnreadVolume | undefined {
  return unreadVolumes(mapping, vg).find(({ name }) => {
    const found = vdiOfLv(name);
    return found?.uuid === vdi && !found.old;
  });
}
