import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import { STORED_BLOCK_BYTES } from '../format/places.ts';
import { blockCount, readBat, readMetadata } from '../image/metadata.ts';
import { regionsOf } from './check-places.ts';

/**
 * Before anything of an image is given away: 'vhd-corrupt' where a block lies behind the end, over another one or over
 * the metadata, for then nobody can say what its content is. `o` as for `VhdImage.open`.
 */
export async function refuseUnreadable(io: BlockIo, o: { readonly copyFirst?: boolean } = {}): Promise<void> {
  const { footer, header, batmap } = await readMetadata(io, o);
  const entries = (await readBat(io, footer, header)).subarray(0, blockCount(footer));
  const blocks = [...entries.entries()].filter(([, entry]) => entry !== UNALLOCATED);
  const places = blocks.map(([block, entry]) => ({ what: `block ${block}`, start: entry * SECTOR }));
  const taken = places.map(({ what, start }) => ({ what, start, end: start + STORED_BLOCK_BYTES }));
  const all = [...regionsOf(footer, header, batmap), ...taken].toSorted((a, b) => a.start - b.start);
  let before = { what: '', start: 0, end: 0 };
  for (const place of all) {
    const isBlock = (name: string): boolean => name.startsWith('block ');
    if (place.start < before.end && (isBlock(place.what) || isBlock(before.what))) {
      throw unreadable(
        io,
        `${place.what} at byte ${place.start} lies over the ${before.what}, which ends at byte ${before.end}`,
      );
    }
    if (isBlock(place.what) && place.end > io.size) {
      throw unreadable(io, `${place.what} ends at byte ${place.end}, ${place.end - io.size} bytes behind the end`);
    }
    if (place.end > before.end) before = place;
  }
}

function unreadable(io: BlockIo, found: string): RbdsrError {
  return new RbdsrError('vhd-corrupt', {
    what: `${io.name} cannot be read as a whole`,
    expected: 'each block at a place of its own within the image',
    found,
    todo: 'rbdsr vhd check tells all that is wrong.',
  });
}
