import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import {
  batmapChecksum,
  BATMAP_HEADER_BYTES,
  type BatmapHeader,
  decodeBatmapHeader,
  usedMapBytes,
} from '../format/batmap.ts';
import { countOnes, testBit } from '../format/bits.ts';
import { hex } from '../format/corrupt.ts';
import { Findings } from './findings.ts';
import { type Footer, FOOTER_BYTES, mayHaveBatmap, promisesBatmap } from '../format/footer.ts';
import { BLOCK_BYTES, type Header } from '../format/header.ts';
import { batmapHeaderOffset, SR_BLOCK } from '../format/places.ts';

const BITS_PER_SECTOR = SECTOR * 8;

/** Whether the batmap, where there has to be one, is readable and true; its header if it is readable. */
export async function checkBatmap(
  io: BlockIo,
  footer: Footer,
  header: Header,
  entries: Uint32Array,
  findings: Findings,
): Promise<BatmapHeader | undefined> {
  if (!mayHaveBatmap(footer)) return undefined;
  const at = batmapHeaderOffset(header);
  // A disk of before version 1.2 has one only where one can be read.
  const batmap = await readBatmapHeader(io, at, promisesBatmap(footer) ? findings : new Findings());
  if (batmap === undefined) return undefined;
  const bytes = usedMapBytes(footer.currentSize);
  const { mapOffset, mapSectors } = batmap;
  const isApart = mapOffset >= at + BATMAP_HEADER_BYTES && mapOffset % SECTOR === 0;
  if (!isApart || mapOffset + Math.max(bytes, mapSectors * SECTOR) > io.size - FOOTER_BYTES) {
    findings.error('batmap-header', `the batmap at byte ${mapOffset} of ${mapSectors} sectors lies outside the image`);
    return undefined;
  }
  const needed = Math.ceil(header.maxBatEntries / BITS_PER_SECTOR);
  if (mapSectors * SECTOR < bytes || mapSectors < needed || mapSectors === 0) {
    findings.error('batmap-header', `the batmap has ${mapSectors} sectors; the BAT needs ${needed}`);
  }
  const map = await io.read(batmap.mapOffset, bytes);
  const sum = batmapChecksum(batmap, footer.currentSize, map);
  if (sum === batmap.mapChecksum) {
    // In images with other blocks nobody reads it.
    if (header.blockSize === BLOCK_BYTES) await checkBits(io, map, entries, findings);
  } else {
    const found = `its header at byte ${at} says ${hex(batmap.mapChecksum)}`;
    findings.error('batmap-checksum', `the batmap at byte ${batmap.mapOffset} sums to ${hex(sum)}; ${found}`);
  }
  return batmap;
}

async function readBatmapHeader(io: BlockIo, at: number, findings: Findings): Promise<BatmapHeader | undefined> {
  if (at + BATMAP_HEADER_BYTES > io.size) {
    findings.error('batmap-header', `the batmap's header at byte ${at} lies behind the end`);
    return undefined;
  }
  try {
    return decodeBatmapHeader(await io.read(at, BATMAP_HEADER_BYTES), at);
  } catch (error) {
    if (!(error instanceof RbdsrError && error.code === 'vhd-corrupt')) throw error;
    findings.error('batmap-header', error.message);
    return undefined;
  }
}

/** Blocks the map calls full have a place, and all their sectors. */
async function checkBits(io: BlockIo, map: Uint8Array, entries: Uint32Array, findings: Findings): Promise<void> {
  for (const [block, entry] of entries.entries()) {
    if (!testBit(map, block)) continue;
    if (entry === UNALLOCATED) {
      findings.error('batmap-unallocated', `the batmap calls block ${block} full, which is not allocated`);
    } else if (entry * SECTOR + SR_BLOCK.bitmapBytes <= io.size) {
      const present = countOnes(await io.read(entry * SECTOR, SR_BLOCK.bitmapBytes));
      if (present === SR_BLOCK.sectors) continue;
      findings.error(
        'batmap-not-full',
        `the batmap calls block ${block} full; its bitmap at byte ${entry * SECTOR} has ${present} of ${SR_BLOCK.sectors} sectors`,
      );
    }
  }
}
