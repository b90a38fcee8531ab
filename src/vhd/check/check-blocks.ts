import { roundDown, SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import type { BlockForm } from '../format/places.ts';
import { blockNames, overlappingBlocks } from './block-overlaps.ts';
import type { Findings } from './findings.ts';

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
  for (const [block, entry] of entries.entries()) {
    if (entry === UNALLOCATED) continue;
    const start = entry * SECTOR;
    const end = start + form.storedBytes;
    if (start < from) {
      const under = `the metadata, which ends at byte ${metadataEndsAt}`;
      findings.error('block-in-metadata', () => `block ${block} at byte ${start} lies over ${under}`);
    }
    if (end > dataEnd.at) {
      const behind = `${end - dataEnd.at} bytes behind ${dataEnd.what} at byte ${dataEnd.at}`;
      findings.error('block-beyond-end', () => `block ${block} at byte ${start} ends at byte ${end}, ${behind}`);
    }
  }
  checkOverlaps(entries, form, findings);
}

function checkOverlaps(entries: Uint32Array, form: BlockForm, findings: Findings): void {
  for (const pair of overlappingBlocks(entries, form)) {
    findings.error('block-overlap', () => {
      const { upper, lower } = blockNames(entries, pair);
      return `${upper} lies over ${lower}`;
    });
  }
}
