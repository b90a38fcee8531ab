import { openVhd } from '../lvhd/open-vhd.ts';
import type { Volumes } from '../lvhd/volumes.ts';
import type { VhdImage } from '../vhd/image/image.ts';
import type { Pair } from './pair.ts';
import { type MergeRoom, mergeRoom, type ParentSizes } from './room.ts';

/** What merging the two takes, as their block tables say now; no block is read. */
export async function roomOfPair(volumes: Volumes, { node, into }: Pair): Promise<MergeRoom> {
  const childBlocks = await ofVhd(volumes, node.lvName, (image) => image.allocationBitmap());
  const { lvSizeBytes } = into;
  const parent =
    into.kind === 'aio'
      ? ({ kind: 'aio', lvSizeBytes } as const)
      : await ofVhd(volumes, into.lvName, (image): ParentSizes => {
          const { physicalSizeBytes } = image;
          return { kind: 'vhd', lvSizeBytes, blocks: image.allocationBitmap(), physicalSizeBytes };
        });
  return mergeRoom({ childBlocks, parent });
}

async function ofVhd<T>({ openLv }: Volumes, lvName: string, read: (image: VhdImage) => T): Promise<T> {
  const io = await openLv(lvName, 'read');
  try {
    return read(await openVhd(io, 'read'));
  } finally {
    await io.close();
  }
}
