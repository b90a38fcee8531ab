import type { CliCall } from '../cli-call.ts';
import { refuseUnreadable } from '../../vhd/check/refuse-unreadable.ts';
import { contentOf, openWholeImage } from './whole-image.ts';
import { streamDisk } from './stream-disk.ts';

/**
 * `rbdsr vhd cat`: what a guest would read. Blocks that no image of the chain has cost no read; the whole chain is
 * opened, and what cannot be vouched for is refused, before the first byte goes out.
 */
export async function catVhd(call: CliCall, path: string, o: { readonly parent?: readonly string[] }): Promise<number> {
  const disk = await openWholeImage(path, o.parent);
  try {
    if (disk.broken !== undefined) throw disk.broken;
    for (const image of [disk.leaf, ...disk.parents]) if ('footer' in image) await refuseUnreadable(image);
    await streamDisk(contentOf(disk), call.stdout);
    return 0;
  } finally {
    await disk.close();
  }
}
