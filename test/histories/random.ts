import { mulberry32 } from '../support/mulberry32.ts';

/** Numbers that look random, the same for the same seed. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** From 0 to `below`, without that. */
  below(below: number): number {
    return this.#next() % below;
  }

  /** Undefined of none. */
  oneOf<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.below(items.length)];
  }

  /** In so many of a hundred. */
  isOnce(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** Bytes that no other seed gives. */
export function bytesOf(seed: number, length: number): Buffer {
  const random = new Random(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (const at of words.keys()) words[at] = random.below(0x1_0000_0000);
  return Buffer.from(words.buffer, 0, length);
}
