import type { AllocatedPart } from '../ceph/control/control-plane.ts';
import type { LvReport } from '../lvm/report.ts';
import type { HeldInCeph } from './picture.ts';

/**
 * How much of what the cluster holds of an image lies in each volume. `parts` are in order and lie over nothing twice;
 * an object that two volumes share counts for each with what is in it. Pure.
 */
export function heldInCeph(parts: readonly AllocatedPart[], volumes: readonly LvReport[]): HeldInCeph {
  const byVolume = volumes.map(({ name, segments }) => {
    const bytes = segments.map(({ pvOffsetBytes, lengthBytes }) => within(parts, pvOffsetBytes, lengthBytes));
    return [name, bytes.reduce((sum, more) => sum + more, 0)] as const;
  });
  return { imageBytes: parts.reduce((sum, { length }) => sum + length, 0), byVolume: Object.fromEntries(byVolume) };
}

function within(parts: readonly AllocatedPart[], start: number, length: number): number {
  let bytes = 0;
  for (let at = firstBehind(parts, start); at < parts.length; at += 1) {
    const part = parts[at];
    if (part === undefined || part.offset >= start + length) break;
    bytes += Math.min(part.offset + part.length, start + length) - Math.max(part.offset, start);
  }
  return bytes;
}

/** The first part that ends behind `start`. */
function firstBehind(parts: readonly AllocatedPart[], start: number): number {
  let [low, high] = [0, parts.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const part = parts[middle];
    if (part !== undefined && part.offset + part.length <= start) low = middle + 1;
    else high = middle;
  }
  return low;
}
