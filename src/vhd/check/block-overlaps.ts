import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import type { BlockForm } from '../format/places.ts';

/** Two blocks, "block 7 at byte 4096", of which the upper one begins within the lower one. */
export interface Overlap {
  readonly lower: string;
  readonly upper: string;
}

/**
 * Neighbours on the disk that lie over each other: the first `most`, and how many there are. A hostile BAT has four
 * million: nothing is made for each block.
 */
export function overlappingBlocks(
  entries: Uint32Array,
  form: BlockForm,
  most: number,
): { readonly first: readonly Overlap[]; readonly count: number } {
  // Entries of blocks without a place come last.
  const sectors = entries.slice().sort();
  const stored = form.storedBytes / SECTOR;
  const first: Overlap[] = [];
  let count = 0;
  // Which of those that begin at one sector.
  let nth = 0;
  for (let i = 1; i < sectors.length; i += 1) {
    const lower = sectors[i - 1] ?? 0;
    const upper = sectors[i] ?? 0;
    const before = nth;
    nth = upper === lower ? nth + 1 : 0;
    if (upper === UNALLOCATED) break;
    if (upper >= lower + stored) continue;
    count += 1;
    if (count <= most) first.push({ lower: nameOf(entries, lower, before), upper: nameOf(entries, upper, nth) });
  }
  return { first, count };
}

function nameOf(entries: Uint32Array, sector: number, nth: number): string {
  let block = entries.indexOf(sector);
  for (let more = nth; more > 0; more -= 1) block = entries.indexOf(sector, block + 1);
  return `block ${block} at byte ${sector * SECTOR}`;
}
