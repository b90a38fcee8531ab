import type { BlockIo } from '../base/block-io.ts';
import { SECTOR } from '../base/units.ts';

/**
 * What an LVM2 physical volume says about itself. `vgName` is undefined for a PV that belongs to no volume group, and
 * for one whose metadata cannot be read, as `damage` then says.
 */
export interface PvLabel {
  readonly pvUuid: string;
  readonly vgName?: string;
  readonly vgUuid?: string;
  /** Byte offset of the label's sector. */
  readonly offset: number;
  /** Bytes of the device when it was made a physical volume, or was resized. */
  readonly deviceBytes: number;
  readonly damage?: string;
}

/**
 * Finds the LVM2 label in the first four sectors and reads the volume group's name and uuid from the text metadata of
 * its first metadata area (lvm2 lib/label/label.h, lib/format_text/layout.h; every field little-endian). undefined
 * where there is no label. CRCs are not checked: a damaged label still means that the device is someone's.
 */
export async function readPvLabel(io: BlockIo): Promise<PvLabel | undefined> {
  const label = await labelSector(io);
  if (label === undefined) return undefined;
  const { sector, offset } = label;
  const header = sector.readUInt32LE(20);
  if (header + 40 > SECTOR)
    return { pvUuid: '', offset, deviceBytes: 0, damage: 'its label names no place in its sector' };
  const pvUuid = hyphenated(sector.toString('latin1', header, header + 32));
  const deviceBytes = Number(sector.readBigUInt64LE(header + 32));
  return { pvUuid, offset, deviceBytes, ...(await volumeGroup(io, metadataArea(sector, header))) };
}

/** Byte offset of the first metadata area; undefined where there is no label, or none in it that can be told. */
export async function placeOfMetadata(io: BlockIo): Promise<number | undefined> {
  const sector = (await labelSector(io))?.sector;
  const header = sector?.readUInt32LE(20) ?? SECTOR;
  const area = sector === undefined || header + 40 > SECTOR ? 0 : metadataArea(sector, header);
  return area === 0 ? undefined : area;
}

async function labelSector(io: BlockIo): Promise<{ readonly sector: Buffer; readonly offset: number } | undefined> {
  if (io.size < 4 * SECTOR) return undefined;
  const head = await io.read(0, 4 * SECTOR);
  for (let offset = 0; offset < head.length; offset += SECTOR) {
    const sector = head.subarray(offset, offset + SECTOR);
    if (sector.toString('latin1', 0, 8) !== 'LABELONE' || sector.toString('latin1', 24, 32) !== 'LVM2 001') continue;
    return { sector, offset };
  }
  return undefined;
}

/**
 * Byte offset of the first metadata area, 0 where there is none: the list after the list of data areas, each ended by
 * an entry of offset 0.
 */
function metadataArea(sector: Buffer, header: number): number | undefined {
  let place = header + 40;
  for (let lists = 0; place + 16 <= SECTOR; place += 16) {
    const offset = Number(sector.readBigUInt64LE(place));
    if (lists === 1) return offset;
    if (offset === 0) lists += 1;
  }
  return undefined;
}

/**
 * The head of the current text: `<vg name> {\nid = "..."`. The area is a ring; the head itself never wraps inside a
 * sector.
 */
async function volumeGroup(
  io: BlockIo,
  area: number | undefined,
): Promise<{ vgName?: string; vgUuid?: string; damage?: string }> {
  if (area === undefined) return { damage: 'its label lists no places of metadata' };
  if (area === 0) return {};
  if (area + SECTOR > io.size) return { damage: `its metadata begin at byte ${area}, behind the end of the device` };
  const header = await io.read(area, SECTOR);
  if (header.toString('latin1', 4, 20) !== METADATA_MAGIC) return { damage: `no metadata begin at byte ${area}` };
  const textOffset = Number(header.readBigUInt64LE(40));
  const textLength = Number(header.readBigUInt64LE(48));
  if (textOffset === 0 || textLength === 0) return {};
  const start = area + textOffset;
  if (start + SECTOR > io.size) return { damage: `the text of its metadata lies behind the end, at byte ${start}` };
  const text = (await io.read(start, SECTOR)).toString('latin1');
  const [, vgName, vgUuid] = /^([A-Za-z0-9+_.-]+) \{\s*id = "([A-Za-z0-9-]+)"/.exec(text) ?? [];
  return vgName === undefined || vgUuid === undefined
    ? { damage: `the text of its metadata at byte ${start} names no volume group` }
    : { vgName, vgUuid };
}

/** Of the header of a metadata area (lvm2 lib/format_text/layout.h, FMTT_MAGIC). */
export const METADATA_MAGIC = ' LVM2 x[5A%r0N*>';

/** The 32 characters of an LVM id as LVM prints them: 6-4-4-4-4-4-6. */
function hyphenated(id: string): string {
  return id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7');
}
