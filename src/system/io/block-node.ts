import { lstatSync, unlinkSync } from 'node:fs';
import { mknodBlock } from '../libc/libc.ts';

/**
 * Makes the node of a block device; one with the same numbers may be there already, and one with others is replaced.
 */
export function makeBlockNode(path: string, major: number, minor: number, mode = 0o600): void {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present?.isBlockDevice() === true && sameNumbers(present.rdev, major, minor)) return;
  if (present?.isBlockDevice() === true) unlinkSync(path);
  mknodBlock(path, major, minor, mode);
}

function sameNumbers(rdev: number, major: number, minor: number): boolean {
  const numbers = deviceNumbers(rdev);
  return numbers.major === major && numbers.minor === minor;
}

/** Takes a `dev_t` of stat apart, as glibc's `gnu_dev_major` and `gnu_dev_minor` do. */
export function deviceNumbers(dev: number): { readonly major: number; readonly minor: number } {
  const wide = BigInt(dev);
  return {
    major: Number(((wide >> 8n) & 0xfffn) | ((wide >> 32n) & 0xfffff000n)),
    minor: Number((wide & 0xffn) | ((wide >> 12n) & 0xffffff00n)),
  };
}
