import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { type ByteSource, COMPLETE, type Frame, type Framing, refuseAborted, segmentsToSend } from './framing.ts';
import { type ConnectionSecret, GcmLine, TAG_BYTES } from './gcm-line.ts';
import { decodePreamble, encodePreamble, PREAMBLE_BYTES } from './preamble.ts';

/**
 * Mode secure of revision 2.1, as the client (ceph `doc/dev/msgr2.rst`): the preamble with the first 48 bytes of
 * control is sealed as one, the rest of control as another, the other segments with the epilogue as a third. Each
 * segment is filled up with zeroes to whole blocks of the cipher.
 */
export class SealedFraming implements Framing {
  readonly #sent: GcmLine;
  readonly #heard: GcmLine;

  constructor({ key, toClient, toServer }: ConnectionSecret) {
    this.#sent = new GcmLine(key, toServer);
    this.#heard = new GcmLine(key, toClient);
  }

  encode(frame: Frame): Buffer {
    const segments = segmentsToSend(frame);
    const [control = Buffer.alloc(0), ...others] = segments;
    const preamble = encodePreamble({ tag: frame.tag, lengths: segments.map(({ length }) => length) });
    const inline = filledTo(INLINE_BYTES, control.subarray(0, INLINE_BYTES));
    const writer = new ByteWriter().raw(this.#sent.seal(Buffer.concat([preamble, inline])));
    if (control.length > INLINE_BYTES) writer.raw(this.#sent.seal(filled(control.subarray(INLINE_BYTES))));
    if (others.length > 0) {
      const epilogue = filled(Buffer.of(COMPLETE));
      writer.raw(this.#sent.seal(Buffer.concat([...others.map(filled), epilogue])));
    }
    return writer.done();
  }

  async read(source: ByteSource, mostBytes: number): Promise<Frame> {
    const head = this.#heard.open(await source.read(PREAMBLE_BYTES + INLINE_BYTES + TAG_BYTES));
    const { tag, lengths } = decodePreamble(head.subarray(0, PREAMBLE_BYTES), mostBytes);
    const [controlBytes = 0, ...others] = lengths;
    const inline = head.subarray(PREAMBLE_BYTES);
    const segments = [await this.#control(source, inline, controlBytes)];
    if (others.length === 0) return { tag, segments };
    const onWire = others.reduce((sum, length) => sum + blocks(length), 0) + BLOCK_BYTES;
    const rest = new ByteReader(
      this.#heard.open(await source.read(onWire + TAG_BYTES)),
      'a frame of messenger v2 in mode secure',
    );
    for (const length of others) {
      segments.push(rest.bytes(length, 'segment'));
      rest.skip(blocks(length) - length, 'filling');
    }
    refuseAborted(rest.u8('status'));
    return { tag, segments };
  }

  async #control(source: ByteSource, inline: Buffer, length: number): Promise<Buffer> {
    if (length <= INLINE_BYTES) return inline.subarray(0, length);
    const restBytes = length - INLINE_BYTES;
    const rest = this.#heard.open(await source.read(blocks(restBytes) + TAG_BYTES));
    return Buffer.concat([inline, rest.subarray(0, restBytes)]);
  }
}

/** So much of control shares the preamble's seal. */
const INLINE_BYTES = 48;
const BLOCK_BYTES = 16;

function blocks(length: number): number {
  return Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
}

function filled(bytes: Buffer): Buffer {
  return filledTo(blocks(bytes.length), bytes);
}

function filledTo(length: number, bytes: Buffer): Buffer {
  return Buffer.concat([bytes], length);
}
