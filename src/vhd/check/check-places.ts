import type { BlockIo } from '../../base/block-io.ts';
import { SECTOR } from '../../base/units.ts';
import { BATMAP_HEADER_BYTES, type BatmapHeader } from '../format/batmap.ts';
import type { Findings } from './findings.ts';
import { type Footer, FOOTER_BYTES } from '../format/footer.ts';
import { type Header, HEADER_BYTES } from '../format/header.ts';
import { locatorSpace } from '../format/locator.ts';
import { batBytes, batmapHeaderOffset, metadataEnd } from '../format/places.ts';

/** What lies from byte `start` on, and ends before byte `end`. */
export interface Region {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Whether the structures that are no blocks lie apart from each other and within the image; the byte behind the last of
 * them.
 */
export function checkPlaces(
  io: BlockIo,
  footer: Footer,
  header: Header,
  batmap: BatmapHeader | undefined,
  findings: Findings,
): number {
  const regions = regionsOf(footer, header, batmap).sort((a, b) => a.start - b.start);
  for (const [i, region] of regions.entries()) {
    const next = regions[i + 1];
    if (next !== undefined && next.start < region.end) {
      findings.error(
        'metadata-overlap',
        `the ${next.what} at byte ${next.start} lies over the ${region.what}, which ends at byte ${region.end}`,
      );
    }
    if (region.end > io.size - FOOTER_BYTES) {
      const code = region.what === 'BAT' ? 'bat-beyond-end' : 'metadata-overlap';
      findings.error(
        code,
        `the ${region.what} ends at byte ${region.end}, behind the footer at ${io.size - FOOTER_BYTES}`,
      );
    }
  }
  return metadataEnd(Number(footer.dataOffset), header, batmap);
}

/** Where everything lies that is no block. */
export function regionsOf(footer: Footer, header: Header, batmap: BatmapHeader | undefined): Region[] {
  const region = (what: string, start: number, bytes: number): Region => ({ what, start, end: start + bytes });
  const regions = [
    region('footer copy', 0, FOOTER_BYTES),
    region('header', Number(footer.dataOffset), HEADER_BYTES),
    region('BAT', header.tableOffset, batBytes(header)),
  ];
  if (batmap !== undefined) {
    regions.push(region('batmap header', batmapHeaderOffset(header), BATMAP_HEADER_BYTES));
    regions.push(region('batmap', batmap.mapOffset, batmap.mapSectors * SECTOR));
  }
  for (const [slot, locator] of header.locators.entries()) {
    if (locator.code !== 0) regions.push(region(`parent locator ${slot}`, locator.offset, locatorSpace(locator)));
  }
  return regions;
}
