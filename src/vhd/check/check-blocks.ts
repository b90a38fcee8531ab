import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import type { Findings } from './findings.ts';
import { STORED_BLOCK_BYTES } from '../format/places.ts';

/** Whether every block lies behind the metadata, before the end footer at byte `endsAt`, and apart from all others. */
export function checkBlocks(entries: Uint32Array, metadataEndsAt: number, endsAt: number, findings: Findings): void {
  const blocks: number[] = [];
  for (const [block, entry] of entries.entries()) if (entry !== UNALLOCATED) blocks.push(block);
  const startOf = (block: number): number => (entries[block] ?? 0) * SECTOR;
  for (const block of blocks) {
    const start = startOf(block);
    if (start < metadataEndsAt) {
      findings.error(
        'block-in-metadata',
        `block ${block} at byte ${start} lies over the metadata, which ends at byte ${metadataEndsAt}`,
      );
    }
    if (start + STORED_BLOCK_BYTES > endsAt) {
      findings.error(
        'block-beyond-end',
        `block ${block} at byte ${start} ends at byte ${start + STORED_BLOCK_BYTES}, behind the start of the footer at ${endsAt}`,
      );
    }
  }
  blocks.sort((a, b) => startOf(a) - startOf(b));
  for (const [i, block] of blocks.entries()) {
    const next = blocks[i + 1];
    if (next !== undefined && startOf(next) < startOf(block) + STORED_BLOCK_BYTES) {
      findings.error(
        'block-overlap',
        `block ${next} at byte ${startOf(next)} lies over block ${block} at byte ${startOf(block)}`,
      );
    }
  }
}
