import { decodeFooter, DIFFERENCING, FOOTER_BYTES, refuseFixed } from './footer.ts';
import { decodeHeader, HEADER_BYTES, NO_UUID, parentNameText, refuseOtherBlocks } from './header.ts';
import type { Locator } from './locator.ts';

/** The footer copy and the header: what `vhd-util scan` reads of each LV. */
export const HEADER_SUMMARY_BYTES = FOOTER_BYTES + HEADER_BYTES;

export interface HeaderSummary {
  /** Of the image, not of the VDI. */
  readonly uuid: string;
  readonly virtualSizeBytes: number;
  /** The most it can grow to in place. */
  readonly maxVirtualSizeBytes: number;
  readonly hidden: boolean;
  readonly hasParent: boolean;
  /** The uuid in the parent's footer; absent without a parent and above a raw one. */
  readonly parentUuid?: string;
  /** The parent-name field, in an SR a device-mapper name; absent without a parent. */
  readonly parentName?: string;
  /** Where more names of the parent are, for an image whose parent-name field is empty. */
  readonly locators: readonly Locator[];
}

/** What the first 1536 bytes of a VHD say, for images of LVs that are not active. Throws 'vhd-corrupt'. */
export function summariseHeader(bytes: Uint8Array): HeaderSummary {
  const footer = decodeFooter(bytes, 0);
  refuseFixed(footer, 0);
  const at = Number(footer.dataOffset);
  const header = decodeHeader(bytes.subarray(at, at + HEADER_BYTES), at);
  refuseOtherBlocks(header, at);
  const hasParent = footer.diskType === DIFFERENCING;
  return {
    uuid: footer.uuid,
    virtualSizeBytes: footer.currentSize,
    maxVirtualSizeBytes: header.maxBatEntries * header.blockSize,
    hidden: footer.hidden !== 0,
    hasParent,
    ...(hasParent && header.parentUuid !== NO_UUID ? { parentUuid: header.parentUuid } : {}),
    ...(hasParent ? { parentName: parentNameText(header) } : {}),
    locators: header.locators.filter(({ code }) => code !== 0),
  };
}
