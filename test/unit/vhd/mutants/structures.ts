import type { ImageEdit } from './image-edit.ts';

/** [name, byte within the structure, bytes] */
export type Field = readonly [name: string, at: number, bytes: number];

/** Where the fields are (Microsoft 2006), said again here so that a mutant asks nothing of ours. */
export const FOOTER: readonly Field[] = [
  ['cookie', 0, 8],
  ['features', 8, 4],
  ['version', 12, 4],
  ['dataOffset', 16, 8],
  ['timestamp', 24, 4],
  ['creatorApp', 28, 4],
  ['creatorVersion', 32, 4],
  ['creatorOs', 36, 4],
  ['originalSize', 40, 8],
  ['currentSize', 48, 8],
  ['geometry', 56, 4],
  ['diskType', 60, 4],
  ['uuid', 68, 16],
  ['savedState', 84, 1],
  ['hidden', 85, 1],
  ['reserved', 86, 426],
];
export const FOOTER_SUM = 64;

export const HEADER: readonly Field[] = [
  ['cookie', 0, 8],
  ['unusedOffset', 8, 8],
  ['tableOffset', 16, 8],
  ['headerVersion', 24, 4],
  ['maxBatEntries', 28, 4],
  ['blockSize', 32, 4],
  ['parentUuid', 40, 16],
  ['parentTimestamp', 56, 4],
  ['reserved1', 60, 4],
  ['parentName', 64, 512],
  ['reserved2', 768, 256],
];
export const HEADER_SUM = 36;
export const LOCATORS = 576;

export const LOCATOR: readonly Field[] = [
  ['code', 0, 4],
  ['space', 4, 4],
  ['length', 8, 4],
  ['locatorReserved', 12, 4],
  ['offset', 16, 8],
];

export const BATMAP: readonly Field[] = [
  ['batmapCookie', 0, 8],
  ['mapOffset', 8, 8],
  ['mapSectors', 16, 4],
  ['mapVersion', 20, 4],
  ['mapSum', 24, 4],
];
export const MAP_SUM = 24;

/** Where the structures of a sound image are; the places that a fixed disk has not are undefined. */
export interface Places {
  readonly endFooter: number;
  readonly size: number;
  readonly header?: number;
  readonly bat?: number;
  readonly blocks?: number;
  readonly batmap?: number;
  readonly map?: number;
  readonly mapBytes?: number;
}

export function placesOf(image: ImageEdit): Places {
  const endFooter = image.size - (image.size % 512 === 511 ? 511 : 512);
  const footer = image.bytes(endFooter, 512);
  const currentSize = Number(footer.readBigUInt64BE(48));
  if (footer.readUInt32BE(60) === 2) return { endFooter, size: image.size };
  const header = Number(footer.readBigUInt64BE(16));
  const bytes = image.bytes(header, 1024);
  const bat = Number(bytes.readBigUInt64BE(16));
  const blocks = Math.ceil(currentSize / bytes.readUInt32BE(32));
  const places = { endFooter, size: image.size, header, bat, blocks };
  const batmap = bat + Math.ceil((bytes.readUInt32BE(28) * 4) / 512) * 512;
  if (image.bytes(batmap, 8).toString('latin1') !== 'tdbatmap') return places;
  const map = Number(image.bytes(batmap, 512).readBigUInt64BE(8));
  const mapBytes = Math.max(512, Math.ceil(Math.floor(currentSize / 2 ** 24) / 512) * 512);
  return { ...places, batmap, map, mapBytes };
}

/** Makes the sum of a structure right again. */
export function seal(image: ImageEdit, at: number, length: number, sumAt: number): void {
  const bytes = image.bytes(at, length);
  bytes.writeUInt32BE(0, sumAt);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(sumOf(bytes));
  image.patch(at + sumAt, sum);
}

export function sumOf(bytes: Buffer): number {
  return ~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0;
}
