import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import type { BlockForm } from '../format/places.ts';

/** Two blocks, by their sectors; `nth` says which of those that begin at one sector. */
export interface Overlap {
  readonly lower: number;
  readonly upper: number;
  readonly nth: number;
}

/** Neighbours on the disk that lie over each other. A hostile BAT has four million: nothing is made for each block. */
export function* overlappingBlocks(entries: Uint32Array, form: BlockForm): Generator<Overlap> {
  const sectors = entries.filter((entry) => entry !== UNALLOCATED).sort();
  const stored = form.storedBytes / SECTOR;
  let nth = 0;
  for (let i = 1; i < sectors.length; i += 1) {
    const lower = sectors[i - 1] ?? 0;
    const upper = sectors[i] ?? 0;
    nth = upper === lower ? nth + 1 : 0;
    if (upper < lower + stored) yield { lower, upper, nth };
  }
}

/** "block 7 at byte 4096", for a message. */
export function blockNames(
  entries: Uint32Array,
  { lower, upper, nth }: Overlap,
): { readonly lower: string; readonly upper: string } {
  return {
    lower: nameOf(entries, lower, upper === lower ? nth - 1 : 0),
    upper: nameOf(entries, upper, nth),
  };
}

function nameOf(entries: Uint32Array, sector: number, nth: number): string {
  let block = entries.indexOf(sector);
  for (let more = nth; more > 0; more -= 1) block = entries.indexOf(sector, block + 1);
  return `block ${block} at byte ${sector * SECTOR}`;
}
