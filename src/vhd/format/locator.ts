import { bytes64, type Decoded, defineLayout, u32 } from './layout.ts';

/** "MacX": a file URL in UTF-8. */
export const MACX = 0x4d616358;
/** "W2ku": a path in UTF-16, little endian; absolute by the specification, relative as blktap writes it. */
export const W2KU = 0x57326b75;
/** "W2ru": a relative path in UTF-16, little endian. */
export const W2RU = 0x57327275;
/**
 * "Wi2r" and "Wi2k", paths of eight-bit text, and "Mac ", an alias record: nobody reads them any more (Microsoft 2006,
 * "Platform Code").
 */
const UNREAD = [0x57693272, 0x5769326b, 0x4d616320];

/** A path can be read from it. */
export function isReadLocator(code: number): boolean {
  return code === MACX || code === W2KU || code === W2RU;
}

export function isKnownLocator(code: number): boolean {
  return isReadLocator(code) || UNREAD.includes(code);
}

/** Bytes of the text of one locator, at most. */
export const LOCATOR_BYTES = 512;

/**
 * One of the eight places where a differencing disk names its parent. Source: Virtual Hard Disk Image Format
 * Specification, Microsoft 2006, "Parent Locator"; blktap libvhd for `space` in bytes and for the codes it reads.
 */
export const locatorLayout = defineLayout('locator', 24, {
  code: u32,
  /** Bytes as blktap writes it; a value below 512 counts sectors, as in the specification. */
  space: u32,
  /** Bytes of the text. */
  length: u32,
  reserved: u32,
  /** Byte of the disk where the text starts. */
  offset: bytes64,
});

export type Locator = Decoded<typeof locatorLayout>;

export const NO_LOCATOR: Locator = Object.freeze({ code: 0, space: 0, length: 0, reserved: 0, offset: 0 });

/** Bytes reserved for the text. */
export function locatorSpace(locator: Locator): number {
  return locator.space < 512 ? locator.space * 512 : locator.space;
}

/** The path in the text of a locator, with forward slashes; undefined for a code or text that cannot be read. */
export function decodeLocatorText(code: number, text: Buffer): string | undefined {
  if (code === MACX) {
    const url = text.toString('utf8');
    return url.startsWith('file://') ? url.slice('file://'.length).replace(/\0+$/, '') : undefined;
  }
  if (code !== W2KU && code !== W2RU) return undefined;
  if (text.length % 2 !== 0) return undefined;
  // Some makers count the zero at its end.
  return text.toString('utf16le').replace(/\0+$/, '').replaceAll('\\', '/');
}

/** The text of a locator that names `path` ("./name"). */
export function encodeLocatorText(code: typeof MACX | typeof W2KU | typeof W2RU, path: string): Buffer {
  return code === MACX ? Buffer.from(`file://${path}`, 'utf8') : Buffer.from(path.replaceAll('/', '\\'), 'utf16le');
}
