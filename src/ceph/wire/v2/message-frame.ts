import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { WireMessage } from '../connection.ts';
import type { Frame } from './framing.ts';
import { FRAME_TAG } from './tags.ts';

/** Header, front, nothing in the middle, data (ceph `src/include/msgr.h`, ceph_msg_header2). */
export function messageFrame(message: WireMessage, seq: bigint, heardSeq: bigint): Frame {
  const { front, data } = message;
  const header = new ByteWriter()
    .u64(seq)
    .u64(message.tid)
    .u16(message.type)
    .u16(PRIORITY)
    .u16(message.version)
    .u32(0)
    .u16(0)
    .u64(heardSeq)
    .u8(0)
    .u16(message.compatVersion)
    .u16(0)
    .done();
  return { tag: FRAME_TAG.message, segments: [header, front, Buffer.alloc(0), data] };
}

export interface HeardMessage {
  readonly seq: bigint;
  readonly message: WireMessage;
}

export function decodeMessageFrame({ segments }: Frame): HeardMessage {
  const [header = Buffer.alloc(0), front = Buffer.alloc(0), , data = Buffer.alloc(0)] = segments;
  const read = new ByteReader(header, 'the header of a message');
  const seq = read.u64('seq');
  const tid = Number(read.u64('tid'));
  const type = read.u16('type');
  read.skip(2, 'priority');
  const version = read.u16('version');
  read.skip(4 + 2 + 8 + 1, 'data offset, acknowledgement and flags');
  const compatVersion = read.u16('compatible version');
  read.skip(2, 'reserved');
  return { seq, message: { type, version, compatVersion, tid, front, data } };
}

/** Of all segments of what a peer that has proven itself says. */
export const MOST_MESSAGE_BYTES = 32 * 1024 * 1024;
/** What a message is worth to the peer's queue (CEPH_MSG_PRIO_DEFAULT). */
const PRIORITY = 127;
