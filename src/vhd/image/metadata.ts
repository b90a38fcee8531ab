import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { roundUp, SECTOR, TiB } from '../../base/units.ts';
import { BAT_ENTRY, decodeBat } from '../format/bat.ts';
import { type BatmapHeader, BATMAP_HEADER_BYTES, decodeBatmapHeader } from '../format/batmap.ts';
import { corrupt } from '../format/corrupt.ts';
import { findFooter, footerOffset, type FooterPlace } from '../format/find-footer.ts';
import { type Footer, mayHaveBatmap, refuseFixed } from '../format/footer.ts';
import {
  BLOCK_BYTES,
  decodeHeader,
  type Header,
  HEADER_BYTES,
  refuseLargeBlocks,
  refuseOtherBlocks,
} from '../format/header.ts';
import { batmapHeaderOffset } from '../format/places.ts';

export interface Metadata {
  readonly footer: Footer;
  readonly place: FooterPlace;
  readonly header: Header;
  /** Absent where the creator wrote none, or where it cannot be used. */
  readonly batmap: BatmapHeader | undefined;
}

/** How an image is opened. */
export interface OpenOptions {
  /** As a scan does, believe the footer at offset 0 where the one at the end differs (`findFooter`). */
  readonly copyFirst?: boolean;
  /** To look at it: what hosts take and no SR holds is taken, too. */
  readonly foreign?: boolean;
}

/**
 * Footer, header and batmap header. Throws 'vhd-corrupt'; a useless batmap is no reason, for it only saves reading
 * bitmaps.
 */
export async function readMetadata(io: BlockIo, o: OpenOptions): Promise<Metadata> {
  const { footer, place } = await findFooter(io, o);
  refuseFixed(footer, footerOffset(io.size, place));
  const header = await readHeader(io, footer);
  if (o.foreign !== true) refuseOtherBlocks(header, Number(footer.dataOffset));
  return { footer, place, header, batmap: await usableBatmap(io, footer, header) };
}

export async function readHeader(io: BlockIo, footer: Footer): Promise<Header> {
  const at = Number(footer.dataOffset);
  if (at + HEADER_BYTES > io.size) {
    throw corrupt('footer.dataOffset', 16, `a header within the ${io.size} bytes of ${io.name}`, `${at}`);
  }
  const header = decodeHeader(await io.read(at, HEADER_BYTES), at);
  refuseLargeBlocks(header, at);
  const blocks = blockCount(footer, header);
  if (footer.currentSize > MOST_BYTES) {
    throw corrupt('footer.currentSize', 48, `at most ${MOST_BYTES} bytes, 2 TiB`, `${footer.currentSize}`);
  }
  if (blocks > MOST_BLOCKS) {
    const found = `${footer.currentSize}, in blocks of ${header.blockSize}`;
    throw corrupt('footer.currentSize', 48, `at most ${MOST_BLOCKS} blocks`, found);
  }
  if (blocks > header.maxBatEntries) {
    throw corrupt(
      'header.maxBatEntries',
      at + 28,
      `at least ${blocks}, for the virtual size`,
      `${header.maxBatEntries}`,
    );
  }
  if (header.tableOffset + header.maxBatEntries * BAT_ENTRY > io.size) {
    throw corrupt(
      'header.tableOffset',
      at + 16,
      `a BAT within the ${io.size} bytes of ${io.name}`,
      `${header.tableOffset}`,
    );
  }
  return header;
}

/** Of the largest disk that 32 bits of sectors can place. */
const MOST_BYTES = 2 * TiB;
/** 2 TiB in blocks of 512 KiB: more is not counted, or a damaged size takes all memory. */
const MOST_BLOCKS = 2 ** 22;

/** Blocks of the current virtual size. */
export function blockCount(footer: Pick<Footer, 'currentSize'>, header: Pick<Header, 'blockSize'>): number {
  return Math.ceil(footer.currentSize / header.blockSize);
}

/**
 * The entries of the current virtual size, and the rest of their last sector: of 2 TiB of reserved BAT a small disk
 * needs the first sector.
 */
export async function readBat(io: BlockIo, footer: Footer, header: Header): Promise<Uint32Array> {
  const wanted = roundUp(SECTOR, blockCount(footer, header) * BAT_ENTRY);
  return decodeBat(await io.read(header.tableOffset, Math.min(wanted, io.size - header.tableOffset)));
}

async function usableBatmap(io: BlockIo, footer: Footer, header: Header): Promise<BatmapHeader | undefined> {
  if (!mayHaveBatmap(footer) || header.blockSize !== BLOCK_BYTES) return undefined;
  const at = batmapHeaderOffset(header);
  if (at + BATMAP_HEADER_BYTES > io.size) return undefined;
  try {
    const batmap = decodeBatmapHeader(await io.read(at, BATMAP_HEADER_BYTES), at);
    const fits =
      batmap.mapOffset >= at + BATMAP_HEADER_BYTES && batmap.mapOffset + batmap.mapSectors * SECTOR <= io.size;
    return fits && batmap.mapSectors * SECTOR * 8 >= blockCount(footer, header) ? batmap : undefined;
  } catch (error) {
    if (error instanceof RbdsrError && error.code === 'vhd-corrupt') return undefined;
    throw error;
  }
}
