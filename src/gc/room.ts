import { MiB, SECTOR } from '../base/units.ts';
import { EMPTY_VHD_LV_SIZE, fullVhdLvSize, lvSize, SMALL_LV_SIZE, VHD_BLOCK } from '../lvhd/sizes.ts';
import { countOnes } from '../vhd/format/bits.ts';
import { FOOTER_BYTES } from '../vhd/format/footer.ts';
import { nextBlockSector, physicalSize, SR_BLOCK } from '../vhd/format/places.ts';

/** What a merge fills, as the block tables of both say; sizes are bytes. */
export interface MergeSizes {
  /** One bit per block of the node that goes (`VhdImage.allocationBitmap`). */
  readonly childBlocks: Uint8Array;
  readonly parent: ParentSizes;
}

export type ParentSizes =
  | { readonly kind: 'aio'; readonly lvSizeBytes: number }
  | {
      readonly kind: 'vhd';
      readonly lvSizeBytes: number;
      readonly blocks: Uint8Array;
      /** Data and a footer (`VhdImage.physicalSizeBytes`). */
      readonly physicalSizeBytes: number;
    };

export interface MergeRoom {
  /** What the volume of the parent has while it is filled. */
  readonly parentLvSizeBytes: number;
  /** What it lacks of that. */
  readonly growsByBytes: number;
  /** That, and the journals that are there at one time: of the merge, and of the growing. */
  readonly neededBytes: number;
  /** The blocks that have something to copy. */
  readonly copiesBytes: number;
}

/** What is copied of a leaf while nobody can use it (sm `cleanup.py`, `LIVE_LEAF_COALESCE_MAX_SIZE`). */
export const FOLDED_AT_ONCE_BYTES = 20 * MiB;

/**
 * As stock computes it (sm cleanup.py, `_calcExtraSpaceNeeded`): the full volume of a disk with the blocks of both. A
 * raw parent has all room there is. Where places between the blocks of the parent are lost, its data ends later than
 * that, and the blocks that are new to it come behind its end. Pure.
 */
export function mergeRoom({ childBlocks, parent }: MergeSizes): MergeRoom {
  const growsByBytes = Math.max(0, wantedOf(childBlocks, parent) - parent.lvSizeBytes);
  const journals = growsByBytes > 0 ? 2 : 1;
  return {
    parentLvSizeBytes: parent.lvSizeBytes + growsByBytes,
    growsByBytes,
    neededBytes: growsByBytes + SMALL_LV_SIZE * journals,
    copiesBytes: countOnes(childBlocks) * VHD_BLOCK,
  };
}

/**
 * What it takes to make a base of a leaf with an empty leaf on it, and then to merge that base: never more than by the
 * formula of stock (sm `cleanup.py`, `_gcLoop`: what the merge takes, and the leaf as large as what it holds). Pure.
 */
export function roomByBase(
  leaf: { readonly lvSizeBytes: number; readonly virtualSizeBytes: number },
  { growsByBytes, copiesBytes }: MergeRoom,
): number {
  const full = fullVhdLvSize(leaf.virtualSizeBytes);
  const newLeaf = leaf.lvSizeBytes >= full ? full : EMPTY_VHD_LV_SIZE;
  const base = Math.min(leaf.lvSizeBytes, fullVhdLvSize(copiesBytes));
  return newLeaf + base - leaf.lvSizeBytes + growsByBytes + 2 * SMALL_LV_SIZE;
}

function wantedOf(childBlocks: Uint8Array, parent: ParentSizes): number {
  if (parent.kind === 'aio') return 0;
  const all = countOnes(either(childBlocks, parent.blocks));
  const added = all - countOnes(parent.blocks);
  return Math.max(fullVhdLvSize(all * VHD_BLOCK), lvSize(endAfter(added, parent.physicalSizeBytes)));
}

/** The physical size after so many blocks more. */
function endAfter(added: number, physicalSizeBytes: number): number {
  if (added === 0) return physicalSizeBytes;
  const first = nextBlockSector(physicalSizeBytes - FOOTER_BYTES) * SECTOR;
  return physicalSize(first + SR_BLOCK.storedBytes + (added - 1) * BLOCK_STRIDE);
}

/** A block's data begins on a page, and the bitmap before it takes the rest of another. */
const BLOCK_STRIDE = VHD_BLOCK + 4096;

/** The bits that are set in one of them. */
function either(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) | (b[i] ?? 0));
}

/** Of a merge whose block tables nobody has read. */
export const NO_ROOM: MergeRoom = { parentLvSizeBytes: 0, growsByBytes: 0, neededBytes: 0, copiesBytes: 0 };
