/**
 * One's complement of the sum of all bytes, as 32 bits; the four bytes at `skipAt` (the checksum itself) count as zero.
 * Source: Virtual Hard Disk Image Format Specification, Microsoft 2006, appendix "Computing the checksum"; blktap
 * libvhd.
 */
export function byteSumChecksum(bytes: Uint8Array, skipAt?: number): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  if (skipAt !== undefined) for (const byte of bytes.subarray(skipAt, skipAt + 4)) sum -= byte;
  return ~sum >>> 0;
}

/** The same with bytes taken as signed, as batmaps of version 1.1 are summed. */
export function signedByteSumChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte > 127 ? byte - 256 : byte;
  return ~sum >>> 0;
}
