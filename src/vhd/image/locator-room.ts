import { roundUp, SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import { isReadLocator, type Locator, locatorSpace, NO_LOCATOR } from '../format/locator.ts';
import { nextBlockSector, reservedEnd } from '../format/places.ts';
import type { VhdImage } from './image.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Where texts of so many bytes can be written that an image has no use for: behind its tables, before the first block,
 * and in no text that `listed` names. A place for each, in whole sectors, or undefined where there is none left. Pure.
 */
export function placesForTexts(
  image: VhdImage,
  listed: readonly Locator[],
  lengths: readonly number[],
): readonly (Range | undefined)[] {
  const unused = { ...image.header, locators: image.header.locators.map(() => NO_LOCATOR) };
  const tablesEnd = reservedEnd(image.footer, unused, image.batmap);
  const taken = listed
    .filter(({ code }) => code !== 0)
    .map((locator): Range => ({ from: locator.offset, to: locator.offset + locatorSpace(locator) }));
  const limit = firstBlock(image, Math.max(tablesEnd, ...taken.map(({ to }) => to)));
  return lengths.map((length) => {
    const bytes = roundUp(SECTOR, length);
    for (let from = roundUp(SECTOR, tablesEnd); from + bytes <= limit; from += SECTOR) {
      const place = { from, to: from + bytes };
      if (taken.some((one) => one.from < place.to && place.from < one.to)) continue;
      taken.push(place);
      return place;
    }
    return undefined;
  });
}

/** Locators that say where the parent is. */
export function readLocators({ header }: VhdImage): readonly Locator[] {
  return header.locators.filter(({ code }) => isReadLocator(code));
}

/** The byte where the first block begins, or where it would in an image that has none. */
function firstBlock({ blockEntries }: VhdImage, metadataEndsAt: number): number {
  let first = Number.POSITIVE_INFINITY;
  for (const entry of blockEntries) if (entry !== UNALLOCATED && entry < first) first = entry;
  return Number.isFinite(first) ? first * SECTOR : nextBlockSector(metadataEndsAt) * SECTOR;
}
