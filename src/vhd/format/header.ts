import { MiB, SECTOR } from '../../base/units.ts';
import { byteSumChecksum } from './checksum.ts';
import { corrupt, hex } from './corrupt.ts';
import { bytes64, type Decoded, defineLayout, latin, raw, raw64, table, u32, uuid } from './layout.ts';
import { type Locator, locatorLayout, NO_LOCATOR } from './locator.ts';

export const HEADER_BYTES = 1024;
/** The one block size that blktap, and so an SR, knows. */
export const BLOCK_BYTES = 2 * MiB;
export const NO_UUID = '00000000-0000-0000-0000-000000000000';
const VERSION = 0x00010000;
const LOCATORS = 8;

/** Source: Virtual Hard Disk Image Format Specification, Microsoft 2006, "Dynamic Disk Header Format". */
const layout = defineLayout('header', HEADER_BYTES, {
  cookie: latin(8),
  /** Unused: all ones. */
  dataOffset: raw64,
  /** Byte of the BAT. */
  tableOffset: bytes64,
  version: u32,
  /** Entries of the BAT; with the block size, the most the disk can grow to in place. */
  maxBatEntries: u32,
  blockSize: u32,
  checksum: u32,
  /** The uuid in the parent's footer; zero without a parent and above a raw one. */
  parentUuid: uuid,
  /** Modification time of the parent, seconds since 2000. */
  parentTimestamp: u32,
  reserved1: raw(4),
  /** UTF-16, big endian, padded with zeroes. */
  parentName: raw(512),
  locators: table(locatorLayout, LOCATORS),
  reserved2: raw(256),
});

/** The checksum is verified when decoding and computed when encoding. */
export type Header = Omit<Decoded<typeof layout>, 'checksum'>;

/** `at` is the byte of the disk the header was read from, for messages. Throws 'vhd-corrupt'. */
export function decodeHeader(bytes: Uint8Array, at: number): Header {
  const { checksum, ...header } = layout.decode(bytes, at);
  const reject = (field: keyof typeof header | 'checksum', expected: string, found: string): never => {
    throw corrupt(`header.${field}`, at + layout.offsetOf(field), expected, found);
  };
  if (header.cookie !== 'cxsparse') reject('cookie', "'cxsparse'", JSON.stringify(header.cookie));
  const sum = byteSumChecksum(bytes.subarray(0, HEADER_BYTES), layout.offsetOf('checksum'));
  if (checksum !== sum) reject('checksum', hex(sum), hex(checksum));
  if (header.version !== VERSION) reject('version', hex(VERSION), hex(header.version));
  if (header.blockSize !== BLOCK_BYTES) reject('blockSize', `${BLOCK_BYTES}`, `${header.blockSize}`);
  if (header.tableOffset % SECTOR !== 0) reject('tableOffset', 'a multiple of 512', `${header.tableOffset}`);
  return Object.freeze(header);
}

export function encodeHeader(header: Header): Buffer {
  const bytes = layout.encode({ ...header, checksum: 0 });
  bytes.writeUInt32BE(byteSumChecksum(bytes), layout.offsetOf('checksum'));
  return bytes;
}

/** A header as blktap writes it, right behind the footer copy and before the BAT. */
export function newHeader(
  maxBatEntries: number,
  parent?: Pick<Header, 'parentUuid' | 'parentTimestamp'> & { name: string; locators: readonly Locator[] },
): Header {
  const parentName = Buffer.alloc(512);
  if (parent !== undefined) Buffer.from(parent.name, 'utf16le').swap16().copy(parentName);
  const locators = parent?.locators ?? [];
  return Object.freeze({
    cookie: 'cxsparse',
    dataOffset: 0xffff_ffff_ffff_ffffn,
    tableOffset: 512 + HEADER_BYTES,
    version: VERSION,
    maxBatEntries,
    blockSize: BLOCK_BYTES,
    parentUuid: parent?.parentUuid ?? NO_UUID,
    parentTimestamp: parent?.parentTimestamp ?? 0,
    reserved1: Buffer.alloc(4),
    parentName,
    locators: Array.from({ length: LOCATORS }, (_unused, slot) => locators[slot] ?? NO_LOCATOR),
    reserved2: Buffer.alloc(256),
  });
}

/** The parent-name field up to its first zero character: in an SR the device-mapper name of the parent's LV. */
export function parentNameText(header: Header): string {
  const text = Buffer.from(header.parentName).swap16().toString('utf16le');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
