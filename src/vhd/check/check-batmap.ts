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
import type { Findings } from './findings.ts';
import { type Footer, promisesBatmap } from '../format/footer.ts';
import type { Header } from '../format/header.ts';
import { BITMAP_BYTES, BLOCK_SECTORS, batmapHeaderOffset } from '../format/places.ts';

/** Whether the batmap, where there has to be one, is readable and true; its header if it is readable. */
export async function checkBatmap(
  io: BlockIo,
  footer: Footer,
  header: Header,
  entries: Uint32Array,
  findings: Findings,
): Promise<BatmapHeader | undefined> {
  if (!promisesBatmap(footer)) return undefined;
  const at = batmapHeaderOffset(header);
  const batmap = await readBatmapHeader(io, at, findings);
  if (batmap === undefined) return undefined;
  const bytes = usedMapBytes(footer.currentSize);
  if (batmap.mapOffset < at + BATMAP_HEADER_BYTES || batmap.mapOffset + bytes > io.size) {
    findings.error('batmap-header', `the batmap at byte ${batmap.mapOffset} lies outside the image`);
    return undefined;
  }
  if (batmap.mapSectors * SECTOR < bytes) {
    findings.error('batmap-header', `the batmap has ${batmap.mapSectors} sectors; the disk needs ${bytes / SECTOR}`);
  }
  const map = await io.read(batmap.mapOffset, bytes);
  const sum = batmapChecksum(batmap, footer.currentSize, map);
  if (sum === batmap.mapChecksum) await checkBits(io, map, entries, findings);
  else {
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
    } else if (entry * SECTOR + BITMAP_BYTES <= io.size) {
      const present = countOnes(await io.read(entry * SECTOR, BITMAP_BYTES));
      if (present === BLOCK_SECTORS) continue;
      findings.error(
        'batmap-not-full',
        `the batmap calls block ${block} full; its bitmap at byte ${entry * SECTOR} has ${present} of ${BLOCK_SECTORS} sectors`,
      );
    }
  }
}
