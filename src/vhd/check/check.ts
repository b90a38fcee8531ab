import type { BlockIo } from '../../base/block-io.ts';
import { checkBatmap } from './check-batmap.ts';
import { checkBlocks, type DataEnd } from './check-blocks.ts';
import { checkPlaces } from './check-places.ts';
import { FIXED, type Footer, FOOTER_BYTES } from '../format/footer.ts';
import { checkFooterFields, checkHeaderFields } from './check-fields.ts';
import { checkFooters, hasFixedFooter } from './check-footers.ts';
import { checkLocators } from './check-locators.ts';
import { Findings, type ImageFinding, orFinding } from './findings.ts';
import { HEADER_BYTES } from '../format/header.ts';
import { blockForm } from '../format/places.ts';
import { blockCount, readBat, readHeader } from '../image/metadata.ts';

export interface CheckOptions {
  /** The end footer may be missing, as it is while a tapdisk has the disk open (`vhd-util check -i`). */
  readonly endFooterOptional?: boolean;
  /** By which times are held to be in the future. */
  readonly now?: Date;
}

/** Bytes of an image that is not fixed. */
const SMALLEST = 2 * FOOTER_BYTES + HEADER_BYTES;

/**
 * What is wrong with an image, its parents left aside; empty where all is well. It is sound when no finding is an
 * error, which agrees with blktap's `vhd-util check` but for what test/unit/vhd/reference lists. Only reads; throws
 * where `io` cannot be read.
 */
export async function checkVhd(io: BlockIo, o: CheckOptions = {}): Promise<ImageFinding[]> {
  const findings = new Findings();
  if (io.size < SMALLEST && !(await hasFixedFooter(io))) {
    findings.error('too-small', `${io.size} bytes cannot hold two footers and a header`);
    return findings.all();
  }
  const { footer, dataEnd } = await checkFooters(io, o, findings);
  if (footer !== undefined) await checkBehindFooter(io, footer, dataEnd, o, findings);
  return findings.all();
}

async function checkBehindFooter(
  io: BlockIo,
  footer: Footer,
  dataEnd: DataEnd,
  o: CheckOptions,
  findings: Findings,
): Promise<void> {
  const now = o.now ?? new Date();
  checkFooterFields(footer, now, findings);
  if (footer.diskType === FIXED) return checkLength(footer, dataEnd.at, findings);
  const header = await orFinding(readHeader(io, footer), ({ message }) => findings.error('header', message));
  if (header === undefined) return;
  checkHeaderFields(footer, header, now, findings);
  await checkLocators(io, footer, header, findings);
  const entries = (await readBat(io, footer, header)).subarray(0, blockCount(footer, header));
  const batmap = await checkBatmap(io, footer, header, entries, findings);
  const metadataEndsAt = checkPlaces(io, footer, header, batmap, findings);
  checkBlocks(entries, blockForm(header.blockSize), metadataEndsAt, dataEnd, findings);
}

/** Of a fixed disk: its content is there. */
function checkLength(footer: Footer, endsAt: number, findings: Findings): void {
  if (footer.currentSize <= endsAt) return;
  const found = `${footer.currentSize} bytes are expected, ${endsAt} are there`;
  findings.error('too-short', `the file ends before the content of this fixed disk does: ${found}`);
}
