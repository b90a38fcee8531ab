import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { crc32c } from '../crc32c.ts';

/** What stands before each frame: what it is and how long each of its segments (ceph `doc/dev/msgr2.rst`). */
export interface Preamble {
  readonly tag: number;
  /** One to four; the last is not empty. The first one is "control": a frame without a message has no other. */
  readonly lengths: readonly number[];
}

export const PREAMBLE_BYTES = 32;
export const MOST_SEGMENTS = 4;

export function encodePreamble({ tag, lengths }: Preamble): Buffer {
  const writer = new ByteWriter().u8(tag).u8(lengths.length);
  for (let index = 0; index < MOST_SEGMENTS; index += 1) {
    const length = lengths[index];
    writer.u32(length ?? 0).u16(length === undefined ? 0 : alignmentOf(index));
  }
  const checked = writer.u8(0).u8(0).done();
  return new ByteWriter().raw(checked).u32(crc32c(0, checked)).done();
}

/** 'control-plane-failed' for what was changed on the way, and for more than `mostBytes` in all segments together. */
export function decodePreamble(bytes: Buffer, mostBytes: number): Preamble {
  const read = new ByteReader(bytes, 'a frame of messenger v2');
  const tag = read.u8('tag');
  const count = read.u8('number of segments');
  const all = Array.from({ length: MOST_SEGMENTS }, () => {
    const length = read.u32('length of a segment');
    read.skip(2, 'alignment of a segment');
    return length;
  });
  const flags = read.u8('flags');
  read.skip(1, 'reserved');
  const checksum = crc32c(0, bytes.subarray(0, CHECKED_BYTES));
  const found = read.u32('checksum of the preamble');
  if (found !== checksum) throw read.garbled('checksum of the preamble', String(checksum), String(found));
  if (count < 1 || count > MOST_SEGMENTS) throw read.garbled('number of segments', '1 to 4', String(count));
  // Bit 0: compressed, which this side does not offer.
  if (flags !== 0) throw read.garbled('flags', '0', String(flags));
  const lengths = all.slice(0, count);
  if (lengths.at(-1) === 0) throw read.garbled('last segment', 'one that is not empty', '0 bytes');
  const sum = lengths.reduce((total, length) => total + length, 0);
  if (sum > mostBytes) throw read.garbled('length', `at most ${mostBytes} bytes`, String(sum));
  return { tag, lengths };
}

const CHECKED_BYTES = PREAMBLE_BYTES - 4;

/** Of buffers in the peer's memory: data by the page. */
function alignmentOf(index: number): number {
  return index === MOST_SEGMENTS - 1 ? 4096 : 8;
}
