import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { roundUp, SECTOR } from '../../base/units.ts';
import { BAT_ENTRY } from '../format/bat.ts';
import { encodeBatmapHeader, newBatmapHeader } from '../format/batmap.ts';
import { type DIFFERENCING, DYNAMIC, encodeFooter, FOOTER_BYTES, newFooter, timestampField } from '../format/footer.ts';
import { BLOCK_BYTES, encodeHeader, type Header, HEADER_BYTES, newHeader } from '../format/header.ts';
import { batmapHeaderOffset, metadataEnd, physicalSize } from '../format/places.ts';

export interface NewVhd {
  /** Rounded up to 2 MiB. */
  readonly virtualSizeBytes: number;
  /** What metadata is reserved for, 2 TiB in an SR; by default the virtual size. */
  readonly maxVirtualSizeBytes?: number;
  /** Of the image, not of the VDI. */
  readonly uuid: string;
  /** A number is the field's own value: seconds since 2000. */
  readonly timestamp: Date | number;
}

/**
 * Writes an empty dynamic disk over all of `io`, as `vhd-util create -s -S` does: the second footer goes to the last
 * sector. 'vdi-size' where `io` is smaller than `emptyVhdBytes`. Durable on return.
 */
export async function createVhd(io: BlockIo, vhd: NewVhd): Promise<void> {
  await writeNewImage(io, vhd, DYNAMIC, newHeader(maxBatEntries(vhd)), []);
}

/** Bytes that an image without data takes; what a file is created with. */
export function emptyVhdBytes(vhd: Pick<NewVhd, 'virtualSizeBytes' | 'maxVirtualSizeBytes'>): number {
  const header = newHeader(maxBatEntries(vhd));
  return physicalSize(metadataEnd(FOOTER_BYTES, header, batmapOf(header)));
}

/** Entries of the BAT of a new disk. */
export function maxBatEntries(vhd: Pick<NewVhd, 'virtualSizeBytes' | 'maxVirtualSizeBytes'>): number {
  return Math.ceil(Math.max(vhd.virtualSizeBytes, vhd.maxVirtualSizeBytes ?? 0, 1) / BLOCK_BYTES);
}

/** `texts`: what `header.locators` point to, back to back behind the batmap. */
export async function writeNewImage(
  io: BlockIo,
  vhd: NewVhd,
  diskType: typeof DYNAMIC | typeof DIFFERENCING,
  header: Header,
  texts: readonly Buffer[],
): Promise<void> {
  const batmap = batmapOf(header);
  const endsAt = metadataEnd(FOOTER_BYTES, header, batmap);
  if (io.size < physicalSize(endsAt)) {
    throw new RbdsrError('vdi-size', {
      what: `${io.name} is too small for the metadata of a VHD`,
      expected: `at least ${physicalSize(endsAt)} bytes`,
      found: `${io.size} bytes`,
    });
  }
  const metadata = Buffer.alloc(endsAt);
  const footer = encodeFooter(
    newFooter({
      uuid: vhd.uuid,
      timestamp: timestampField(vhd.timestamp),
      virtualSizeBytes: roundUp(BLOCK_BYTES, vhd.virtualSizeBytes),
      diskType,
    }),
  );
  footer.copy(metadata, 0);
  encodeHeader(header).copy(metadata, FOOTER_BYTES);
  metadata.fill(0xff, header.tableOffset, header.tableOffset + header.maxBatEntries * BAT_ENTRY);
  encodeBatmapHeader(batmap).copy(metadata, batmapHeaderOffset(header));
  for (const [slot, text] of texts.entries()) text.copy(metadata, header.locators[slot]?.offset ?? 0);
  // The part that makes it a VHD comes last, so that one cut short is none.
  const front = FOOTER_BYTES + HEADER_BYTES;
  await io.write(front, metadata.subarray(front));
  await io.write(io.size - FOOTER_BYTES, footer);
  await io.flush();
  await io.write(0, metadata.subarray(0, front));
  await io.flush();
}

/** Where locators of a new image begin. */
export function firstLocatorOffset(header: Header): number {
  const { mapOffset, mapSectors } = batmapOf(header);
  return mapOffset + mapSectors * SECTOR;
}

function batmapOf(header: Header): ReturnType<typeof newBatmapHeader> {
  return newBatmapHeader(batmapHeaderOffset(header), header.maxBatEntries);
}
