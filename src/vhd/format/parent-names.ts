import type { BlockIo } from '../../base/block-io.ts';
import { type Header, parentNameText } from './header.ts';
import { decodeLocatorText, MACX } from './locator.ts';

/** Bytes of a path that others may have written; we write LOCATOR_BYTES at most. */
const LONGEST_TEXT = 65_536;

/** What an image says about where its parent is. */
export interface ParentNames {
  /** The parent-name field: in an SR the device-mapper name. */
  readonly name: string;
  /**
   * Paths in the locators that can be read, in order of their slots; "./name" is relative to the directory of the
   * child.
   */
  readonly locators: readonly { readonly slot: number; readonly code: number; readonly path: string }[];
}

/** Skips locators of other platforms and those that lie outside the image. */
export async function readParentNames(io: BlockIo, header: Header): Promise<ParentNames> {
  const locators: { slot: number; code: number; path: string }[] = [];
  for (const [slot, { code, length, offset }] of header.locators.entries()) {
    if (code === 0 || length === 0 || length > LONGEST_TEXT || offset + length > io.size) continue;
    const path = decodeLocatorText(code, await io.read(offset, length));
    if (path !== undefined) locators.push({ slot, code, path });
  }
  return { name: parentNameText(header), locators };
}

/** Every path an image knows its parent by, in the order in which to try them, each once. */
export function fileParentNames(names: ParentNames): string[] {
  return [...new Set([...names.locators.map(({ path }) => path), ...(names.name === '' ? [] : [`./${names.name}`])])];
}

/**
 * The LV a name stands for, as `vhd-util scan` finds it: of a device-mapper name (`-` doubled, parts joined by a single
 * one) the last part, any other name whole; the parent-name field first, then a locator, MACX before the others.
 * Undefined where there is no name at all.
 */
export function parentAsScanned(names: ParentNames): string | undefined {
  const macx = names.locators.find(({ code }) => code === MACX) ?? names.locators[0];
  const name = names.name === '' ? macx?.path : names.name;
  return name === undefined ? undefined : lastDmPart(name.slice(name.lastIndexOf('/') + 1));
}

/** Of a device-mapper name, in which hyphens are doubled and one that is not separates; any other name stays whole. */
function lastDmPart(name: string): string {
  const parts = name.replaceAll('--', '\0').split('-');
  return name.includes('--') && parts.length === 2 ? (parts[1] ?? '').replaceAll('\0', '-') : name;
}
