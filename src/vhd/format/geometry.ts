import { SECTOR } from '../../base/units.ts';

const MOST_SECTORS = 65535 * 16 * 255;

/**
 * Cylinders (16 bits), heads (8), sectors per track (8) of a virtual size in bytes, packed as in the footer.
 * Source: Virtual Hard Disk Image Format Specification, Microsoft 2006, appendix "CHS Calculation".
 */
export function packedGeometry(virtualSizeBytes: number): number {
  const sectors = Math.min(Math.ceil(virtualSizeBytes / SECTOR), MOST_SECTORS);
  const { tracks, heads, perTrack } = shape(sectors);
  const cylinders = Math.floor(tracks / heads);
  return ((cylinders << 16) | (heads << 8) | perTrack) >>> 0;
}

function shape(sectors: number): { tracks: number; heads: number; perTrack: number } {
  const tracksOf = (perTrack: number): number => Math.floor(sectors / perTrack);
  if (sectors >= 65535 * 16 * 63) return { tracks: tracksOf(255), heads: 16, perTrack: 255 };
  const few = { tracks: tracksOf(17), heads: Math.max(4, Math.ceil(tracksOf(17) / 1024)), perTrack: 17 };
  if (few.tracks < few.heads * 1024 && few.heads <= 16) return few;
  if (tracksOf(31) < 16 * 1024) return { tracks: tracksOf(31), heads: 16, perTrack: 31 };
  return { tracks: tracksOf(63), heads: 16, perTrack: 63 };
}
