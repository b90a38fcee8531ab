import { addressOf } from '../libc/system-call.ts';

/**
 * A buffer whose first byte lies on a page boundary, as O_DIRECT wants it, with unspecified contents. It is an ordinary
 * Buffer inside a slightly larger one, so the garbage collector frees it once the last view of it is gone and nobody
 * has to give it back. Reading straight into one and handing it out costs less than copying from a pool of aligned
 * memory (measured: 40 instead of 57 us of CPU for 64 KiB, 120 instead of 300 for 1 MiB).
 */
export function alignedBuffer(length: number): Buffer {
  const raw = Buffer.allocUnsafeSlow(length + PAGE);
  const skip = Number(-addressOf(raw) & BigInt(PAGE - 1));
  return raw.subarray(skip, skip + length);
}

/** True when O_DIRECT takes `bytes` as they are. */
export function isAligned(bytes: Uint8Array): boolean {
  return bytes.length === 0 || (addressOf(bytes) & BigInt(PAGE - 1)) === 0n;
}

const PAGE = 4096;
