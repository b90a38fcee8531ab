import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import { STORED_BLOCK_BYTES } from '../format/places.ts';
import type { VhdImage } from '../image/image.ts';
import { type Region, regionsOf } from './check-places.ts';

/**
 * Before anything of an image is given away: 'vhd-corrupt' where a block lies behind the end, over another one or over
 * the metadata, for then nobody can say what its content is. Of what opening has read; asks the disk for nothing.
 */
export function refuseUnreadable(image: VhdImage): void {
  const { size } = image.io;
  const blocks = blockRegions(image.blockEntries);
  for (const { what, end } of blocks) {
    if (end > size) throw unreadable(image, `${what} ends at byte ${end}, ${end - size} bytes behind the end`);
  }
  const isBlock = new Set(blocks);
  const all = [...regionsOf(image.footer, image.header, image.batmap), ...blocks];
  let before: Region | undefined;
  for (const place of all.toSorted((a, b) => a.start - b.start)) {
    if (before !== undefined && place.start < before.end && (isBlock.has(place) || isBlock.has(before))) {
      const under = `the ${before.what}, which ends at byte ${before.end}`;
      throw unreadable(image, `${place.what} at byte ${place.start} lies over ${under}`);
    }
    if (before === undefined || place.end > before.end) before = place;
  }
}

function blockRegions(entries: Uint32Array): Region[] {
  const regions: Region[] = [];
  for (const [block, entry] of entries.entries()) {
    if (entry === UNALLOCATED) continue;
    const start = entry * SECTOR;
    regions.push({ what: `block ${block}`, start, end: start + STORED_BLOCK_BYTES });
  }
  return regions;
}

function unreadable({ io }: VhdImage, found: string): RbdsrError {
  return new RbdsrError('vhd-corrupt', {
    what: `${io.name} cannot be read as a whole`,
    expected: 'each block at a place of its own within the image',
    found,
    todo: 'rbdsr vhd check tells all that is wrong.',
  });
}
