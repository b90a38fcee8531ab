import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { BAT_ENTRY, UNALLOCATED } from '../format/bat.ts';
import { endFooter, footerOffset } from '../format/find-footer.ts';
import { isPoisoned } from '../format/footer.ts';
import { locatorSpace } from '../format/locator.ts';
import { FixedVhd } from '../image/fixed.ts';
import type { VhdImage } from '../image/image.ts';
import { overlappingBlocks } from './block-overlaps.ts';
import { checkBatmap } from './check-batmap.ts';
import { type Region, regionsOf } from './check-places.ts';
import { Findings, orFinding } from './findings.ts';

/**
 * Before anything of an image is given away: 'vhd-corrupt' where nobody can say what its content is, for what says so
 * contradicts itself, or something lies over it.
 */
export async function refuseUnreadable(image: VhdImage | FixedVhd): Promise<void> {
  const end = await orFinding(endFooter(image.io), () => {});
  const endsAt = end === undefined ? image.io.size : footerOffset(image.io.size, end.place);
  if (isPoisoned(image.footer)) throw unreadable(image, 'a resize that was cut short: blocks may be on their way');
  if (image instanceof FixedVhd) {
    const bytes = image.virtualSizeBytes;
    if (bytes > endsAt) throw unreadable(image, `${endsAt} bytes of content, of ${bytes}`);
    return;
  }
  refuseShared(image, endsAt);
  await refuseContradiction(image);
}

/** The BAT and each block have to lie where nothing else is. */
function refuseShared(image: VhdImage, endsAt: number): void {
  const { header, form, blockEntries: entries } = image;
  const regions = placesOf(image);
  const table: Region = {
    what: 'BAT',
    start: header.tableOffset,
    end: header.tableOffset + entries.length * BAT_ENTRY,
  };
  if (table.end > endsAt) throw unreadable(image, `the BAT ends at byte ${table.end}, behind byte ${endsAt}`);
  const over = regions.find((region) => region.what !== 'BAT' && isShared(region, table.start, table.end));
  if (over !== undefined) throw unreadable(image, `the BAT lies over the ${over.what} at byte ${over.start}`);
  for (const [block, entry] of entries.entries()) {
    if (entry === UNALLOCATED) continue;
    const start = entry * SECTOR;
    const stop = start + form.storedBytes;
    if (stop > endsAt) {
      throw unreadable(image, `block ${block} ends at byte ${stop}, ${stop - endsAt} bytes behind byte ${endsAt}`);
    }
    const under = regions.find((region) => isShared(region, start, stop));
    if (under === undefined) continue;
    const what = `${under.what} at byte ${under.start}, which ends at byte ${under.end}`;
    throw unreadable(image, `block ${block} at byte ${start} lies over the ${what}`);
  }
  const [overlap] = overlappingBlocks(entries, form, 1).first;
  if (overlap !== undefined) throw unreadable(image, `${overlap.upper} lies over ${overlap.lower}`);
}

/** What is no block; of a locator its text, for makers differ in how they count its room. */
function placesOf({ footer, header, batmap }: VhdImage): Region[] {
  const texts = header.locators.flatMap((locator, slot): Region[] => {
    const { code, offset, length } = locator;
    const bytes = Math.min(length, locatorSpace(locator));
    if (code === 0 || bytes === 0) return [];
    return [{ what: `parent locator ${slot}`, start: offset, end: offset + bytes }];
  });
  return [...regionsOf(footer, { ...header, locators: [] }, batmap), ...texts];
}

function isShared(region: Region, start: number, end: number): boolean {
  return region.start < end && start < region.end;
}

/** A block that the batmap calls full has a place, and all its sectors: or one of the two that say so is wrong. */
async function refuseContradiction(image: VhdImage): Promise<void> {
  const findings = new Findings();
  await checkBatmap(image.io, image.footer, image.header, image.blockEntries, findings);
  const wrong = findings.all().find(({ code }) => code === 'batmap-unallocated' || code === 'batmap-not-full');
  if (wrong !== undefined) throw unreadable(image, wrong.message);
}

function unreadable({ io }: VhdImage | FixedVhd, found: string): RbdsrError {
  return new RbdsrError('vhd-corrupt', {
    what: `${io.name} cannot be read as a whole`,
    expected: 'each block at a place of its own within the image',
    found,
    todo: 'rbdsr vhd check tells all that is wrong.',
  });
}
