import type { BlockIo } from '../../base/block-io.ts';
import { corrupt } from './corrupt.ts';
import { decodeFooter, DIFFERENCING, FOOTER_BYTES, refuseFixed } from './footer.ts';
import { decodeHeader, HEADER_BYTES, NO_UUID, parentNameText, refuseOtherBlocks } from './header.ts';
import type { Locator } from './locator.ts';

/** The footer copy and the header behind it. */
const HEADER_SUMMARY_BYTES = FOOTER_BYTES + HEADER_BYTES;

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

/**
 * What a scan reads of a VHD, for images of LVs that are not active: the copy of the footer, and the header where that
 * says it is. In what SRs hold it lies behind the copy: one read. Throws 'vhd-corrupt'.
 */
export async function readHeaderSummary(io: BlockIo): Promise<HeaderSummary> {
  const bytes = await io.read(0, Math.min(io.size, HEADER_SUMMARY_BYTES));
  const footer = decodeFooter(bytes, 0);
  refuseFixed(footer, 0);
  const at = Number(footer.dataOffset);
  const header = decodeHeader(at === FOOTER_BYTES ? bytes.subarray(at) : await headerBytes(io, at), at);
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

async function headerBytes(io: BlockIo, at: number): Promise<Uint8Array> {
  if (at + HEADER_BYTES <= io.size) return io.read(at, HEADER_BYTES);
  throw corrupt('footer.dataOffset', 16, `a header within the ${io.size} bytes of ${io.name}`, `${at}`);
}
