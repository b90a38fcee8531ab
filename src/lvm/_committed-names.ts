import { crc32 } from 'node:zlib';
import type { BlockIo } from '../base/block-io.ts';
import { MiB, SECTOR } from '../base/units.ts';
import { METADATA_MAGIC, placeOfMetadata } from './lvm-label.ts';

/**
 * The names of the logical volumes of volume group `vg`, as the metadata that count on the device have them: what LVM
 * has committed, read without LVM. Undefined for anything that is not whole, by its checksum, and ours: then LVM is
 * asked. Nothing is placed by it.
 */
export async function committedNames(
  open: () => Promise<BlockIo>,
  vg: string,
): Promise<ReadonlySet<string> | undefined> {
  const io = await open();
  try {
    const text = await committedText(io);
    return text === undefined ? undefined : namesInMetadata(text, vg);
  } finally {
    await io.close();
  }
}

/** Where the text lies in the header of the metadata area (lvm2 lib/format_text/layout.h, `mda_header`). */
const START = 24;
const SIZE = 32;
const TEXT_OFFSET = 40;
const TEXT_SIZE = 48;
const TEXT_CHECKSUM = 56;
const FLAGS = 60;
/** Other areas of the group count, and not this one (RAW_LOCN_IGNORED). */
const IGNORED = 1;
/** Of a checksum (lvm2 lib/misc/crc.h, INITIAL_CRC); unlike zlib's, LVM's is inverted neither before nor after. */
const INITIAL_CHECKSUM = 0xf597a6cf;
/** More than LVM makes of any SR: the area that stock asks for has 10 MiB. */
const LARGEST = 64 * MiB;

/** The text that counts, whole by its checksum; undefined otherwise. */
export async function committedText(io: BlockIo): Promise<Buffer | undefined> {
  const area = await placeOfMetadata(io);
  if (area === undefined || area + SECTOR > io.size) return undefined;
  const header = await io.read(area, SECTOR);
  if (header.toString('latin1', 4, 20) !== METADATA_MAGIC || at(header, START) !== area) return undefined;
  if ((header.readUInt32LE(FLAGS) & IGNORED) !== 0) return undefined;
  const [ring, offset, size] = [at(header, SIZE), at(header, TEXT_OFFSET), at(header, TEXT_SIZE)];
  if (offset < SECTOR || offset >= ring || size === 0 || size > ring - SECTOR) return undefined;
  if (ring > LARGEST || area + ring > io.size) return undefined;
  // What does not fit before the end of the area goes on behind its header.
  const first = Math.min(size, ring - offset);
  const head = await io.read(area + offset, first);
  const text = first === size ? head : Buffer.concat([head, await io.read(area + SECTOR, size - first)]);
  return checksum(text) === header.readUInt32LE(TEXT_CHECKSUM) ? text : undefined;
}

function at(header: Buffer, offset: number): number {
  return Number(header.readBigUInt64LE(offset));
}

function checksum(data: Buffer): number {
  return ~crc32(data, ~INITIAL_CHECKSUM >>> 0) >>> 0;
}

/** The sections right below `logical_volumes` of the group's own (lvm2 lib/format_text/export.c). Pure. */
export function namesInMetadata(text: Buffer, vg: string): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  const path: string[] = [];
  for (const line of text.toString('latin1').split('\n')) {
    const [, opened] = /^\s*([A-Za-z0-9+_.-]+) \{$/.exec(line) ?? [];
    if (opened !== undefined) {
      path.push(opened);
      if (path.length === 3 && path[1] === 'logical_volumes') names.add(opened);
    } else if (/^\s*\}$/.test(line)) path.pop();
    if (path[0] !== vg && path.length > 0) return undefined;
  }
  return path.length === 0 ? names : undefined;
}
