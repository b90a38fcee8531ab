import { RbdsrError } from '../base/error.ts';
import { MAX_VIRTUAL_SIZE } from '../dom0/virtual-sizes.ts';
import { formatBytes, KiB, MiB, roundUp, SECTOR, TiB } from '../base/units.ts';

/**
 * Arithmetic of sm `lvhdutil`, `vhdutil` and `lvutil`; every size is bytes. A VDI of a given size must get the same LV
 * as stock's.
 */
const LV_QUANTUM = 4 * MiB;
export const VHD_BLOCK = 2 * MiB;
/** Metadata of every VHD is laid out for this virtual size, so that growing needs no data to move. */
export const PREALLOCATED_VIRTUAL_SIZE = 2 * TiB;
export const MIN_VIRTUAL_SIZE = 2 * MiB;
/** A journal, a metadata volume, a CBT log: one extent. */
export const SMALL_LV_SIZE = LV_QUANTUM;

/** Footer copy, header, BAT and batmap of an empty VHD whose metadata is for `virtualSize`: 4329472 for 2 TiB. */
export function vhdOverheadEmpty(virtualSize: number): number {
  const blocks = Math.floor(Math.floor(virtualSize / MiB) / 2);
  const withBat = roundUp(SECTOR, 3 * KiB + blocks * 4);
  return roundUp(4096, withBat + Math.floor(blocks / 8));
}

/** The sector bitmaps in front of the data blocks, one page each. */
export function vhdOverheadBitmaps(virtualSize: number): number {
  return Math.ceil(virtualSize / VHD_BLOCK) * 4096;
}

export function lvSize(bytes: number): number {
  return roundUp(LV_QUANTUM, bytes);
}

/** The LV of a VHD that can hold every block: of a thick VDI, and of any VDI while it is attached. */
export function fullVhdLvSize(virtualSize: number): number {
  return lvSize(virtualSize + vhdOverheadEmpty(PREALLOCATED_VIRTUAL_SIZE) + vhdOverheadBitmaps(virtualSize));
}

/** The LV of a VHD that holds nothing yet: 8 MiB. */
export const EMPTY_VHD_LV_SIZE = lvSize(vhdOverheadEmpty(PREALLOCATED_VIRTUAL_SIZE));

/** The LV of a VHD whose data and end footer take `physicalSize` (`vhd-util query -s`). */
export function deflatedLvSize(physicalSize: number): number {
  return lvSize(physicalSize);
}

/**
 * The virtual size a request for `bytes` gets: at least 2 MiB, rounded up to whole blocks. 'vdi-size' for a negative
 * one, or one above `max` before it is rounded, as stock.
 */
export function acceptedVirtualSize(bytes: number, max: number = MAX_VIRTUAL_SIZE): number {
  if (Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= max)
    return roundUp(VHD_BLOCK, Math.max(MIN_VIRTUAL_SIZE, bytes));
  throw new RbdsrError('vdi-size', {
    what: 'the size asked for a disk is impossible',
    expected: `0 to ${max} bytes (${formatBytes(max)})`,
    found: String(bytes),
  });
}
