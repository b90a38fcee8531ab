import { endianness } from 'node:os';

/** A BAT entry of a block that has no place yet. */
export const UNALLOCATED = 0xffffffff;
/** Bytes of one entry. */
export const BAT_ENTRY = 4;

/**
 * The block allocation table: for each block the sector of its bitmap, 32 bits big-endian. Source: Virtual Hard Disk
 * Image Format Specification, Microsoft 2006, "Block Allocation Table and Data Blocks".
 */
export function decodeBat(bytes: Uint8Array): Uint32Array {
  const entries = new Uint32Array(Math.floor(bytes.length / BAT_ENTRY));
  const view = Buffer.from(entries.buffer);
  view.set(bytes.subarray(0, view.length));
  return swapped(entries, view);
}

export function encodeBat(entries: Uint32Array): Buffer {
  const copy = entries.slice();
  const view = Buffer.from(copy.buffer);
  swapped(copy, view);
  return view;
}

function swapped(entries: Uint32Array, view: Buffer): Uint32Array {
  if (endianness() === 'LE') view.swap32();
  return entries;
}
