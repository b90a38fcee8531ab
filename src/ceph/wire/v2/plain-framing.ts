import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { crc32c } from '../crc32c.ts';
import {
  type ByteSource,
  COMPLETE,
  type Frame,
  frameChanged,
  type Framing,
  refuseAborted,
  segmentsToSend,
} from './framing.ts';
import { decodePreamble, encodePreamble, MOST_SEGMENTS, PREAMBLE_BYTES } from './preamble.ts';

/**
 * Mode crc of revision 2.1 (ceph `doc/dev/msgr2.rst`): preamble, control and its checksum; where there is more than
 * control the other segments, then an epilogue with the checksum of each. Before anybody is known it is the only mode.
 */
export const plainFraming: Framing = {
  encode(frame: Frame): Buffer {
    const segments = segmentsToSend(frame);
    const [control = Buffer.alloc(0), ...others] = segments;
    const writer = new ByteWriter()
      .raw(encodePreamble({ tag: frame.tag, lengths: segments.map(({ length }) => length) }))
      .raw(control);
    if (control.length > 0) writer.u32(crc32c(SEED, control));
    if (others.length === 0) return writer.done();
    for (const segment of others) writer.raw(segment);
    writer.u8(COMPLETE);
    for (let index = 0; index < MOST_SEGMENTS - 1; index += 1) {
      const segment = others[index];
      writer.u32(segment === undefined ? 0 : crc32c(SEED, segment));
    }
    return writer.done();
  },

  async read(source: ByteSource, mostBytes: number): Promise<Frame> {
    const { tag, lengths } = decodePreamble(await source.read(PREAMBLE_BYTES), mostBytes);
    const [controlBytes = 0, ...others] = lengths;
    const segments = [await readControl(source, controlBytes)];
    if (others.length === 0) return { tag, segments };
    const otherBytes = others.reduce((sum, length) => sum + length, 0);
    const rest = new ByteReader(await source.read(otherBytes + EPILOGUE_BYTES), 'a frame of messenger v2');
    segments.push(...others.map((length) => rest.bytes(length, 'segment')));
    refuseAborted(rest.u8('status'));
    for (const segment of segments.slice(1)) compare('segment', segment, rest.u32('checksum of a segment'));
    return { tag, segments };
  },
};

/** Of all checksums but the preamble's. */
const SEED = 0xffffffff;
const EPILOGUE_BYTES = 1 + 4 * (MOST_SEGMENTS - 1);

async function readControl(source: ByteSource, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const read = new ByteReader(await source.read(length + 4), 'a frame of messenger v2');
  const control = read.bytes(length, 'control');
  compare('control', control, read.u32('checksum of control'));
  return control;
}

function compare(part: string, segment: Buffer, found: number): void {
  const expected = crc32c(SEED, segment);
  if (found !== expected) throw frameChanged(part, `checksum ${expected}`, String(found));
}
