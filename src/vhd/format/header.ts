import { RbdsrError } from '../../base/error.ts';
import { formatBytes, MiB, SECTOR } from '../../base/units.ts';
import { byteSumChecksum } from './checksum.ts';
import { corrupt, hex } from './corrupt.ts';
import { checkSeal } from './seal.ts';
import { bytes64, type Decoded, defineLayout, latin, raw, raw64, table, u32, uuid } from './layout.ts';
import { type Locator, locatorLayout, NO_LOCATOR } from './locator.ts';

export const HEADER_BYTES = 1024;
/** The block size of every disk of an SR, and the largest that blktap or Windows takes. */
export const BLOCK_BYTES = 2 * MiB;
export const NO_UUID = '00000000-0000-0000-0000-000000000000';
const VERSION = 0x00010000;
const COOKIE = 'cxsparse';
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
  checkSeal(layout, bytes, at, [COOKIE]);
  const { checksum: _sum, ...header } = layout.decode(bytes, at);
  const reject = (field: keyof typeof header, expected: string, found: string): never => {
    throw corrupt(`header.${field}`, at + layout.offsetOf(field), expected, found);
  };
  if (header.version !== VERSION) reject('version', hex(VERSION), hex(header.version));
  if (!isPowerOfTwo(header.blockSize) || header.blockSize < SECTOR) {
    reject('blockSize', 'a power of two, at least 512', `${header.blockSize}`);
  }
  if (header.tableOffset % SECTOR !== 0) reject('tableOffset', 'a multiple of 512', `${header.tableOffset}`);
  return Object.freeze(header);
}

/** 'vhd-corrupt' by name where no host takes blocks of that size; `at` as for `decodeHeader`. */
export function refuseLargeBlocks(header: Header, at: number): void {
  if (header.blockSize <= BLOCK_BYTES) return;
  throw wrongBlocks(at, 'blocks of at most 2 MiB', `blocks of ${formatBytes(header.blockSize)}, which no host takes`);
}

/** The same of a disk that is to be used and not looked at. */
export function refuseOtherBlocks(header: Header, at: number): void {
  if (header.blockSize === BLOCK_BYTES) return;
  throw wrongBlocks(at, `${BLOCK_BYTES}`, `${header.blockSize}, which no SR holds`);
}

function wrongBlocks(at: number, expected: string, found: string): RbdsrError {
  return new RbdsrError('vhd-corrupt', {
    what: 'the block size of this VHD cannot be used',
    expected,
    found,
    facts: { field: 'header.blockSize', offset: at + layout.offsetOf('blockSize') },
  });
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
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
    cookie: COOKIE,
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
