/**
 * Bits as VHD counts them: bit 0 is the highest of byte 0. Used for the sector bitmaps of blocks and for the batmap.
 */
export function testBit(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
}

/** Sets `count` bits from `from` on; how many of them were clear before. */
export function setBits(bits: Uint8Array, from: number, count: number): number {
  let changed = 0;
  let index = from;
  const end = from + count;
  while (index < end) {
    const place = index >> 3;
    const before = bits[place] ?? 0;
    const upTo = Math.min(end, (place + 1) * 8);
    const mask = (0xff >> (index & 7)) & (0xff << ((place + 1) * 8 - upTo));
    bits[place] = before | mask;
    changed += countBits(mask & ~before);
    index = upTo;
  }
  return changed;
}

/** The first index in (`from`, `end`] where the bits differ from the bit at `from`; whole bytes at a time. */
export function runEnd(bits: Uint8Array, from: number, end: number): number {
  const value = testBit(bits, from);
  const whole = value ? 0xff : 0;
  let index = from + 1;
  while (index < end) {
    if ((index & 7) === 0 && bits[index >> 3] === whole) index += 8;
    else if (testBit(bits, index) === value) index += 1;
    else return index;
  }
  return end;
}

export function countOnes(bits: Uint8Array): number {
  let ones = 0;
  for (const byte of bits) ones += countBits(byte);
  return ones;
}

function countBits(byte: number): number {
  let left = byte & 0xff;
  let ones = 0;
  while (left !== 0) {
    left &= left - 1;
    ones += 1;
  }
  return ones;
}
