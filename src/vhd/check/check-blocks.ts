import { roundDown, SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import type { BlockForm } from '../format/places.ts';
import { overlappingBlocks } from './block-overlaps.ts';
import { type Findings, MOST_OF_A_KIND } from './findings.ts';

/** The byte where data has to end, and what is there. */
export interface DataEnd {
  readonly at: number;
  readonly what: 'the footer' | 'the end of the file';
}

/** Whether every block lies behind the metadata, before the end, and apart from all others. */
export function checkBlocks(
  entries: Uint32Array,
  form: BlockForm,
  metadataEndsAt: number,
  dataEnd: DataEnd,
  findings: Findings,
): void {
  // As blktap, which counts whole sectors.
  const from = roundDown(SECTOR, metadataEndsAt);
  const underneath = `lies over the metadata, which ends at byte ${metadataEndsAt}`;
  let over = 0;
  let behind = 0;
  for (let block = 0; block < entries.length; block += 1) {
    const entry = entries[block] ?? UNALLOCATED;
    if (entry === UNALLOCATED) continue;
    const start = entry * SECTOR;
    const end = start + form.storedBytes;
    if (start < from) {
      over += 1;
      if (over <= MOST_OF_A_KIND) findings.error('block-in-metadata', `block ${block} at byte ${start} ${underneath}`);
    }
    if (end > dataEnd.at) {
      behind += 1;
      if (behind > MOST_OF_A_KIND) continue;
      const far = `${end - dataEnd.at} bytes behind ${dataEnd.what} at byte ${dataEnd.at}`;
      findings.error('block-beyond-end', `block ${block} at byte ${start} ends at byte ${end}, ${far}`);
    }
  }
  findings.more('block-in-metadata', over - MOST_OF_A_KIND);
  findings.more('block-beyond-end', behind - MOST_OF_A_KIND);
  const { first, count } = overlappingBlocks(entries, form, MOST_OF_A_KIND);
  for (const { upper, lower } of first) findings.error('block-overlap', `${upper} lies over ${lower}`);
  findings.more('block-overlap', count - MOST_OF_A_KIND);
}
