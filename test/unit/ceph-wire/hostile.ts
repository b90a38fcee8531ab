import { mulberry32 } from '../../support/mulberry32.ts';
import { expect } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';

/** A seed that has ever found something stays among these. */
export const SEEDS = Array.from({ length: 120 }, (_, index) => index + 1);

/** With a value, or with an error of ours. */
export async function endsWell(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(RbdsrError);
  }
}

export function inUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** One to four changes: a byte, a long number, a piece cut out, a piece twice, the end cut off. */
export function changed(original: Buffer, next: (below: number) => number): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (let change = next(4); change >= 0; change -= 1) {
    const at = next(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + next(16));
    const kind = next(6);
    if (kind === 0) bytes = bytes.subarray(0, at);
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    else if (kind === 3 && at + 4 <= bytes.length) bytes.writeUInt32LE(0xffffffff - next(3), at);
    else if (at < bytes.length) bytes[at] = next(256);
  }
  return bytes;
}

/** The same numbers for the same seed. */
export function random(seed: number): (below: number) => number {
  const next = mulberry32(seed);
  return (below) => next() % below;
}
