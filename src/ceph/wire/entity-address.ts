import { isIPv4, isIPv6 } from 'node:net';
import type { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import type { PeerAddress } from './connection.ts';

/** Which messenger an address is for (ceph `src/msg/msg_types.h`, entity_addr_t). */
export const ADDRESS_TYPE = { v2: 2, any: 3 } as const;

/** As MSG_ADDR2 writes it, whatever features the peers have: type, nonce and a socket address by its length. */
export function encodeEntityAddress(type: number, { host, port, nonce }: PeerAddress): Buffer {
  const body = new ByteWriter().u32(type).u32(nonce).blob(socketAddress(host, port)).done();
  return new ByteWriter().u8(NEW_FORM).versioned(1, 1, body).done();
}

/** One address as the list that an entity may have. */
export function encodeAddressList(type: number, address: PeerAddress): Buffer {
  return new ByteWriter().u8(LIST_FORM).u32(1).raw(encodeEntityAddress(type, address)).done();
}

/** The same daemon in the same life, however its host is written. */
export function isSameAddress(one: PeerAddress, other: PeerAddress): boolean {
  // Every operation asks, mostly of what was said once.
  if (one === other) return true;
  return encodeEntityAddress(ADDRESS_TYPE.any, one).equals(encodeEntityAddress(ADDRESS_TYPE.any, other));
}

/** In either form: to a peer without MSG_ADDR2 it is nonce and a whole `struct sockaddr_storage`. */
export function decodeEntityAddress(read: ByteReader): PeerAddress {
  const form = read.u8('form of an address');
  if (form === OLD_FORM) {
    read.skip(3, 'type of an address');
    const nonce = read.u32('nonce');
    const socket = Buffer.from(read.bytes(STORAGE_BYTES, 'socket address'));
    return fromSocketAddress(read, socket.readUInt16BE(0), socket, nonce);
  }
  if (form !== NEW_FORM) throw read.garbled('form of an address', `${OLD_FORM} or ${NEW_FORM}`, String(form));
  const { body } = read.versioned('address');
  body.skip(4, 'type of an address');
  const nonce = body.u32('nonce');
  const socket = body.blob('socket address');
  return fromSocketAddress(read, socket.length < 2 ? 0 : socket.readUInt16LE(0), socket, nonce);
}

function fromSocketAddress(read: ByteReader, family: number, socket: Buffer, nonce: number): PeerAddress {
  if (family === FAMILY.ipv4 && socket.length >= 8) {
    return { host: [...socket.subarray(4, 8)].join('.'), port: socket.readUInt16BE(2), nonce };
  }
  if (family === FAMILY.ipv6 && socket.length >= 24) {
    const words = Array.from({ length: 8 }, (_, index) => socket.readUInt16BE(8 + 2 * index).toString(16));
    return { host: new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1), port: socket.readUInt16BE(2), nonce };
  }
  throw read.garbled('socket address', 'one of IPv4 or IPv6', `family ${family}, ${socket.length} bytes`);
}

const OLD_FORM = 0;
const NEW_FORM = 1;
const LIST_FORM = 2;
/** `struct sockaddr_storage`. */
const STORAGE_BYTES = 128;
const FAMILY = { ipv4: 2, ipv6: 10 } as const;

/** `struct sockaddr_in` and `sockaddr_in6`, the family little endian, the rest as it goes over a network. */
function socketAddress(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(isIPv6(host) ? 28 : 16);
  bytes.writeUInt16LE(isIPv6(host) ? FAMILY.ipv6 : FAMILY.ipv4, 0);
  bytes.writeUInt16BE(port, 2);
  if (isIPv4(host)) Buffer.from(host.split('.').map(Number)).copy(bytes, 4);
  if (isIPv6(host)) ipv6Words(host).forEach((word, index) => bytes.writeUInt16BE(word, 8 + 2 * index));
  return bytes;
}

function ipv6Words(host: string): number[] {
  const [head = '', tail] = new URL(`http://[${host}]/`).hostname.slice(1, -1).split('::');
  const words = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  if (tail === undefined) return words(head);
  const [first, last] = [words(head), words(tail)];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}
