import type { CliCall } from '../cli-call.ts';
import { refuseUnreadable } from '../../vhd/check/refuse-unreadable.ts';
import { VhdImage } from '../../vhd/image/image.ts';
import { openWholeImage } from './whole-image.ts';
import { streamDisk } from './stream-disk.ts';

/**
 * `rbdsr vhd cat`: what a guest would read. Blocks that no image of the chain has cost no read; the whole chain is
 * opened before the first byte goes out.
 */
export async function catVhd(call: CliCall, path: string, o: { readonly parent?: readonly string[] }): Promise<number> {
  const disk = await openWholeImage(path, o.parent);
  try {
    const images = [disk.leaf, ...disk.parents.filter((parent) => parent instanceof VhdImage)];
    for (const image of images) refuseUnreadable(image);
    await streamDisk(disk, call.stdout);
    return 0;
  } finally {
    await disk.close();
  }
}
