import { SECTOR } from '../../base/units.ts';
import { byteSumChecksum } from './checksum.ts';
import { corrupt, hex } from './corrupt.ts';
import { packedGeometry } from './geometry.ts';
import { checkSeal } from './seal.ts';
import { bytes64, type Decoded, defineLayout, latin, raw, raw64, u32, u8, uuid } from './layout.ts';

export const FOOTER_BYTES = 512;
/** Content and then a footer, nothing else. No SR has such a disk. */
export const FIXED = 2;
export const DYNAMIC = 3;
export const DIFFERENCING = 4;
const VERSION = 0x00010000;
const COOKIE = 'conectix';
/** Both footers bear it while blktap resizes (libvhd-journal, `VHD_POISON_COOKIE`). */
const POISON = 'v_poison';
/** Blktap opens none of its disks any more. */
export const TAP_0_1 = 0x00000001;
/** The last version that there is of blktap's format. */
export const TAP_1_3 = 0x00010003;
/** It hid a disk without summing anew, and in the copy of the footer alone. */
const TAP_1_1 = 0x00010001;
/** The data offset of a disk without a header. */
export const UNUSED = 0xffff_ffff_ffff_ffffn;

/**
 * The footer, also kept as a copy at offset 0. Source: Virtual Hard Disk Image Format Specification, Microsoft 2006,
 * "Hard Disk Footer Format"; blktap vhd.h for `hidden`, which lies in the specification's reserved bytes.
 */
const layout = defineLayout('footer', FOOTER_BYTES, {
  cookie: latin(8),
  features: u32,
  version: u32,
  /** Byte of the dynamic header; all ones on a fixed disk. */
  dataOffset: raw64,
  /** Seconds since 2000-01-01 00:00:00 UTC. */
  timestamp: u32,
  creatorApp: latin(4),
  creatorVersion: u32,
  creatorOs: u32,
  /** Bytes at creation; never changed afterwards, and asked by nobody: some makers leave all ones. */
  originalSize: raw64,
  /** Bytes the guest sees. */
  currentSize: bytes64,
  geometry: u32,
  diskType: u32,
  checksum: u32,
  uuid,
  savedState: u8,
  hidden: u8,
  reserved: raw(426),
});

/** The checksum is verified when decoding and computed when encoding, so a value never carries a stale one. */
export type Footer = Omit<Decoded<typeof layout>, 'checksum'>;

/** `at` is the byte of the disk the footer was read from, for messages. Throws 'vhd-corrupt'. */
export function decodeFooter(bytes: Uint8Array, at: number): Footer {
  const reject = (field: keyof Footer, expected: string, found: string): never => {
    throw corrupt(`footer.${field}`, at + layout.offsetOf(field), expected, found);
  };
  checkSeal(layout, bytes, at, [COOKIE, POISON], isSumFromBefore);
  const { checksum: _sum, ...footer } = layout.decode(bytes, at);
  if (footer.version !== VERSION) reject('version', hex(VERSION), hex(footer.version));
  if (footer.diskType !== FIXED && footer.diskType !== DYNAMIC && footer.diskType !== DIFFERENCING) {
    reject('diskType', '2 (fixed), 3 (dynamic) or 4 (differencing)', `${footer.diskType}`);
  }
  if (footer.diskType !== FIXED && (footer.dataOffset % 512n !== 0n || footer.dataOffset > BigInt(2 ** 52))) {
    reject('dataOffset', 'the byte of the dynamic header, a multiple of 512', hex(footer.dataOffset, 16));
  }
  if (footer.currentSize % SECTOR !== 0) reject('currentSize', 'a multiple of 512', `${footer.currentSize}`);
  return Object.freeze(footer);
}

export function encodeFooter(footer: Footer): Buffer {
  const bytes = layout.encode({ ...footer, checksum: 0 });
  bytes.writeUInt32BE(byteSumChecksum(bytes), layout.offsetOf('checksum'));
  return bytes;
}

/** A footer as blktap's libvhd 1.3 writes it. `timestamp` is in seconds since 2000. */
export function newFooter(o: {
  readonly uuid: string;
  readonly timestamp: number;
  readonly virtualSizeBytes: number;
  readonly diskType: typeof DYNAMIC | typeof DIFFERENCING;
}): Footer {
  return Object.freeze({
    cookie: COOKIE,
    features: 2,
    version: VERSION,
    dataOffset: BigInt(FOOTER_BYTES),
    timestamp: o.timestamp,
    creatorApp: 'tap\0',
    creatorVersion: TAP_1_3,
    creatorOs: 0,
    originalSize: BigInt(o.virtualSizeBytes),
    currentSize: o.virtualSizeBytes,
    geometry: packedGeometry(o.virtualSizeBytes),
    diskType: o.diskType,
    uuid: o.uuid,
    savedState: 0,
    hidden: 0,
    reserved: Buffer.alloc(426),
  });
}

/** The footer of the same disk after a change of its virtual size; the original size stays. */
export function resizedFooter(footer: Footer, virtualSizeBytes: number): Footer {
  return Object.freeze({ ...footer, currentSize: virtualSizeBytes, geometry: packedGeometry(virtualSizeBytes) });
}

/** 'vhd-corrupt' by name, of a disk that is to be used and not looked at; `at` as for `decodeFooter`. */
export function refuseFixed(footer: Footer, at: number): void {
  if (footer.diskType !== FIXED) return;
  const found = '2 (fixed), which no SR holds';
  throw corrupt('footer.diskType', at + layout.offsetOf('diskType'), '3 (dynamic) or 4 (differencing)', found);
}

/** A resize of the disk was cut short: it may be looked at, and not be used. */
export function isPoisoned(footer: Footer): boolean {
  return footer.cookie === POISON;
}

/** Made by a tap whose hidden flag counts in the copy of the footer (blktap libvhd, `vhd_read_footer`). */
export function isHiddenByCopy(footer: Pick<Footer, 'creatorApp' | 'creatorVersion'>): boolean {
  return isOfTap(footer) && footer.creatorVersion === TAP_1_1;
}

/**
 * The sum of the time before the disk was hidden, which is larger by the flag: blktap bears it of that version
 * (`vhd_validate_footer`).
 */
function isSumFromBefore(bytes: Buffer, found: number): boolean {
  const at = (field: 'creatorApp' | 'creatorVersion' | 'hidden' | 'checksum'): number => layout.offsetOf(field);
  const creatorApp = bytes.toString('latin1', at('creatorApp'), at('creatorApp') + 4);
  if (!isHiddenByCopy({ creatorApp, creatorVersion: bytes.readUInt32BE(at('creatorVersion')) })) return false;
  const hidden = bytes[at('hidden')] ?? 0;
  return hidden !== 0 && (byteSumChecksum(bytes, at('checksum')) + hidden) >>> 0 === found;
}

/** Whether a batmap follows the BAT: blktap from creator version 1.2 on always writes one. */
export function promisesBatmap(footer: Footer): boolean {
  return isOfTap(footer) && footer.creatorVersion >= 0x00010002;
}

/** Of blktap's versions before, too, where one can be read there (blktap libvhd, `vhd_has_batmap`). */
export function mayHaveBatmap(footer: Footer): boolean {
  return isOfTap(footer) && footer.creatorVersion > TAP_0_1;
}

export function isOfTap({ creatorApp }: Pick<Footer, 'creatorApp'>): boolean {
  return creatorApp.startsWith('tap');
}

/** Seconds since 1970 to seconds since 2000, the epoch of VHD. */
function vhdTimestamp(unixSeconds: number): number {
  return Math.max(0, Math.floor(unixSeconds) - 946_684_800);
}

/** The `timestamp` field of a moment; a number is the field's own value. */
export function timestampField(moment: Date | number): number {
  return typeof moment === 'number' ? moment : vhdTimestamp(moment.getTime() / 1000);
}
