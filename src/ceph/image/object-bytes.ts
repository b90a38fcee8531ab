import { KiB, MiB } from '../../base/units.ts';

/** Of one object of an image, in words. */
export const OBJECT_BYTES = 'a power of two from 4 KiB to 32 MiB';

/** ceph `src/librbd/internal.cc`, validate_object_order. */
export function isObjectBytes(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes)) && bytes >= 4 * KiB && bytes <= 32 * MiB;
}
