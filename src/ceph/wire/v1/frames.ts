import { isIPv6 } from 'node:net';
import { RbdsrError } from '../../../base/error.ts';
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { WireMessage, PeerAddress } from '../connection.ts';
import { crc32c } from '../crc32c.ts';

/** What stands before each thing that messenger v1 sends (ceph `src/include/msgr.h`, CEPH_MSGR_TAG). */
export const TAG = {
  ready: 1,
  close: 6,
  message: 7,
  acknowledgement: 8,
  keepAlive: 9,
  badProtocol: 10,
  badAuthorizer: 11,
  features: 12,
  keepAliveTimed: 14,
  keepAliveAnswer: 15,
  challenge: 16,
} as const;

export const BANNER = 'ceph v027';
export const MESSAGE_HEADER_BYTES = 53;
export const MESSAGE_FOOTER_BYTES = 13;
/** Type, nonce and a `struct sockaddr_storage`: how an address looked before MSG_ADDR2. */
export const ADDRESS_BYTES = 136;

const CHECKED_BYTES = MESSAGE_HEADER_BYTES - 4;
const MOST_BYTES = 32 * 1024 * 1024;
/** What a message is worth to the peer's queue (CEPH_MSG_PRIO_DEFAULT). */
const PRIORITY = 127;
const CLIENT = 8;
const COMPLETE = 1;
const WITHOUT_CHECKSUM = 2;

/** Tag, header, front, data and footer. `source` is the client's number. */
export function encodeMessage(message: WireMessage, seq: number, source: bigint): Buffer {
  const { front, data } = message;
  const header = new ByteWriter()
    .u64(seq)
    .u64(message.tid)
    .u16(message.type)
    .u16(PRIORITY)
    .u16(message.version)
    .u32(front.length)
    .u32(0)
    .u32(data.length)
    .u16(0)
    .u8(CLIENT)
    .u64(source)
    .u16(message.compatVersion)
    .u16(0)
    .done();
  return new ByteWriter()
    .u8(TAG.message)
    .raw(header)
    .u32(crc32c(0, header))
    .raw(front)
    .raw(data)
    .u32(crc32c(0, front))
    .u32(0)
    .u32(crc32c(0, data))
    .u8(COMPLETE)
    .done();
}

export interface MessageHeader {
  readonly seq: bigint;
  readonly tid: number;
  readonly type: number;
  readonly version: number;
  readonly compatVersion: number;
  readonly frontBytes: number;
  readonly middleBytes: number;
  readonly dataBytes: number;
}

/** 'control-plane-failed' for a header that was changed on the way, or is longer than any answer there is. */
export function decodeMessageHeader(bytes: Buffer): MessageHeader {
  const read = new ByteReader(bytes, 'the header of a message');
  const seq = read.u64('seq');
  const tid = Number(read.u64('tid'));
  const type = read.u16('type');
  read.skip(2, 'priority');
  const version = read.u16('version');
  const [frontBytes, middleBytes, dataBytes] = [read.u32('front'), read.u32('middle'), read.u32('data')];
  read.skip(2 + 9, 'source');
  const compatVersion = read.u16('compatible version');
  read.skip(2, 'reserved');
  if (read.u32('checksum') !== crc32c(0, bytes.subarray(0, CHECKED_BYTES))) throw changed('header');
  const all = frontBytes + middleBytes + dataBytes;
  if (all > MOST_BYTES) throw read.garbled('length', `at most ${MOST_BYTES} bytes`, String(all));
  return { seq, tid, type, version, compatVersion, frontBytes, middleBytes, dataBytes };
}

/** `body` is front, middle, data and footer. */
export function decodeBody(header: MessageHeader, body: Buffer): WireMessage {
  const read = new ByteReader(body, 'a message');
  const front = read.bytes(header.frontBytes, 'front');
  read.skip(header.middleBytes, 'middle');
  const data = read.bytes(header.dataBytes, 'data');
  const [frontCheck, , dataCheck] = [read.u32('of front'), read.u32('of middle'), read.u32('of data')];
  const flags = read.u8('flags');
  // Neither is computed where ms_crc_header or ms_crc_data is off.
  if (frontCheck !== 0 && frontCheck !== crc32c(0, front)) throw changed('front');
  if ((flags & WITHOUT_CHECKSUM) === 0 && dataCheck !== crc32c(0, data)) throw changed('data');
  const { type, version, compatVersion, tid } = header;
  return { type, version, compatVersion, tid, front, data };
}

function changed(part: string): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `a message's ${part} was changed on the way`,
    expected: 'the checksum that stands beside it',
    facts: { errno: 'EBADMSG' },
  });
}

/** Our own address: nobody connects to it, so that only the nonce means anything. */
export function encodeAddress({ host, port, nonce }: PeerAddress): Buffer {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  bytes.writeUInt32LE(nonce, 4);
  bytes.writeUInt16BE(isIPv6(host) ? 10 : 2, 8);
  bytes.writeUInt16BE(port, 10);
  return bytes;
}
