import { roundUp, SECTOR } from '../../base/units.ts';
import { BAT_ENTRY, UNALLOCATED } from './bat.ts';
import { type BatmapHeader, newBatmapHeader } from './batmap.ts';
import { type Footer, FOOTER_BYTES, promisesBatmap } from './footer.ts';
import { BLOCK_BYTES, type Header, HEADER_BYTES } from './header.ts';
import { locatorSpace } from './locator.ts';

/** What blocks of one size take on the disk: bitmap, then data. */
export interface BlockForm {
  /** Of data. */
  readonly bytes: number;
  /** Of data. */
  readonly sectors: number;
  /** One bit per sector, whole sectors. */
  readonly bitmapBytes: number;
  /** Both. */
  readonly storedBytes: number;
}

export function blockForm(blockBytes: number): BlockForm {
  const sectors = blockBytes / SECTOR;
  const bitmapBytes = roundUp(SECTOR, Math.floor(sectors / 8));
  return { bytes: blockBytes, sectors, bitmapBytes, storedBytes: bitmapBytes + blockBytes };
}

/** The blocks of an SR's disks. */
export const SR_BLOCK: BlockForm = blockForm(BLOCK_BYTES);

/** blktap starts data areas on this boundary, whatever lies before. */
const DATA_ALIGNMENT = 4096;

/** Bytes of the BAT with its padding. */
export function batBytes(header: Pick<Header, 'maxBatEntries'>): number {
  return roundUp(SECTOR, header.maxBatEntries * BAT_ENTRY);
}

/** Where the batmap's header lies, if there is one. */
export function batmapHeaderOffset(header: Header): number {
  return header.tableOffset + batBytes(header);
}

/** The byte behind the last structure that is no block. */
export function metadataEnd(dataOffset: number, header: Header, batmap: BatmapHeader | undefined): number {
  const ends = [dataOffset + HEADER_BYTES, header.tableOffset + batBytes(header)];
  if (batmap !== undefined) ends.push(batmap.mapOffset + batmap.mapSectors * SECTOR);
  for (const locator of header.locators) if (locator.code !== 0) ends.push(locator.offset + locatorSpace(locator));
  return Math.max(...ends);
}

/**
 * The same for placing blocks in an image that may be damaged: where its batmap cannot be read, the place of it is kept
 * free all the same, for stock tools find it by its place and write there.
 */
export function reservedEnd(footer: Footer, header: Header, batmap: BatmapHeader | undefined): number {
  const expected = promisesBatmap(footer)
    ? newBatmapHeader(batmapHeaderOffset(header), header.maxBatEntries)
    : undefined;
  return metadataEnd(Number(footer.dataOffset), header, batmap ?? expected);
}

/** The byte behind the last block, or `metadataEnd` where there is none. */
export function dataEnd(entries: Uint32Array, metadataEndsAt: number, form: BlockForm): number {
  let last = -1;
  for (const entry of entries) if (entry !== UNALLOCATED && entry > last) last = entry;
  return last < 0 ? metadataEndsAt : Math.max(metadataEndsAt, last * SECTOR + form.storedBytes);
}

/** The sector of the bitmap of a block placed behind `end`, so that its data starts on a 4096-byte boundary. */
export function nextBlockSector(end: number): number {
  return (roundUp(DATA_ALIGNMENT, end + SR_BLOCK.bitmapBytes) - SR_BLOCK.bitmapBytes) / SECTOR;
}

/** What `vhd-util query -s` calls the physical size: data and one footer. */
export function physicalSize(end: number): number {
  return end + FOOTER_BYTES;
}
