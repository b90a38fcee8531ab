import { roundUp, SECTOR } from '../../base/units.ts';
import { byteSumChecksum, signedByteSumChecksum } from './checksum.ts';
import { corrupt, hex } from './corrupt.ts';
import { bytes64, type Decoded, defineLayout, latin, raw, u32, u8 } from './layout.ts';

export const BATMAP_HEADER_BYTES = 512;
/** Of this version signed bytes are summed. */
const VERSION_1_1 = 0x00010001;
const VERSION_1_2 = 0x00010002;
const BLOCKS_PER_SECTOR = SECTOR * 8;

/**
 * The header of blktap's batmap, which follows the BAT: one bit per block, set when all its sectors are present.
 * Source: blktap vhd.h, `struct dd_batmap_hdr`.
 */
const layout = defineLayout('batmap', BATMAP_HEADER_BYTES, {
  cookie: latin(8),
  /** Byte of the map. */
  mapOffset: bytes64,
  mapSectors: u32,
  version: u32,
  /** Over the first bytes of the map (`batmapChecksum`), not over this header. */
  mapChecksum: u32,
  marker: u8,
  keyed: u8,
  keyNonce: raw(32),
  keyHash: raw(32),
  reserved: raw(418),
});

export type BatmapHeader = Decoded<typeof layout>;

/** `at` is the byte of the disk the header was read from, for messages. Throws 'vhd-corrupt'. */
export function decodeBatmapHeader(bytes: Uint8Array, at: number): BatmapHeader {
  const header = layout.decode(bytes, at);
  const reject = (field: keyof BatmapHeader, expected: string, found: string): never => {
    throw corrupt(`batmap.${field}`, at + layout.offsetOf(field), expected, found);
  };
  if (header.cookie !== 'tdbatmap') reject('cookie', "'tdbatmap'", JSON.stringify(header.cookie));
  if (header.version > VERSION_1_2) reject('version', `at most ${hex(VERSION_1_2)}`, hex(header.version));
  return header;
}

export function encodeBatmapHeader(header: BatmapHeader): Buffer {
  return layout.encode(header);
}

/** The header of an empty map for a BAT of so many entries; `at` is the byte where the header is to lie. */
export function newBatmapHeader(at: number, maxBatEntries: number): BatmapHeader {
  return Object.freeze({
    cookie: 'tdbatmap',
    mapOffset: at + BATMAP_HEADER_BYTES,
    mapSectors: Math.ceil(maxBatEntries / BLOCKS_PER_SECTOR),
    version: VERSION_1_2,
    mapChecksum: 0xffffffff,
    marker: 0,
    keyed: 0,
    keyNonce: Buffer.alloc(32),
    keyHash: Buffer.alloc(32),
    reserved: Buffer.alloc(418),
  });
}

/**
 * Bytes of the map that count: those that its checksum covers (blktap `vhd_checksum_batmap`), whole sectors. Of some
 * sizes, such as 8 GiB and 2 MiB, they hold no bit for the last few blocks: bits behind them are nobody's, for what
 * stock leaves there after a resize is what was there before.
 */
export function usedMapBytes(currentSize: number): number {
  return roundUp(SECTOR, Math.floor(currentSize / 2 ** 24));
}

/** The block is one of those that the map has a bit for. */
export function hasMapBit(map: Uint8Array, block: number): boolean {
  return block < map.length * 8;
}

/** `map` holds `usedMapBytes`. */
export function batmapChecksum(header: Pick<BatmapHeader, 'version'>, currentSize: number, map: Uint8Array): number {
  const checked = map.subarray(0, usedMapBytes(currentSize));
  return header.version === VERSION_1_1 ? signedByteSumChecksum(checked) : byteSumChecksum(checked);
}
