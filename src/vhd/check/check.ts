import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { checkBatmap } from './check-batmap.ts';
import { checkBlocks } from './check-blocks.ts';
import { checkPlaces } from './check-places.ts';
import { copyCounts, endFooter, footerOffset, footersAgree, readFooterAt } from '../format/find-footer.ts';
import { type Footer, FOOTER_BYTES } from '../format/footer.ts';
import { checkFields } from './check-fields.ts';
import { Findings, type ImageFinding } from './findings.ts';
import { HEADER_BYTES } from '../format/header.ts';
import { readBat, readHeader } from '../image/metadata.ts';

export interface CheckOptions {
  /** The end footer may be missing, as it is while a tapdisk has the disk open (`vhd-util check -i`). */
  readonly endFooterOptional?: boolean;
}

/**
 * What is wrong with an image, its parents left aside; empty where all is well. It is sound when no finding is an
 * error, which agrees with blktap's `vhd-util check`. Only reads; throws where `io` cannot be read.
 */
export async function checkVhd(io: BlockIo, o: CheckOptions = {}): Promise<ImageFinding[]> {
  const findings = new Findings();
  if (io.size < 2 * FOOTER_BYTES + HEADER_BYTES) {
    findings.error('too-small', `${io.size} bytes cannot hold two footers and a header`);
    return findings.all();
  }
  const { footer, endFooterAt } = await checkFooters(io, o, findings);
  if (footer === undefined) return findings.all();
  const header = await orFinding(readHeader(io, footer), (why) => findings.error('header', why));
  if (header === undefined) return findings.all();
  checkFields(footer, header, findings);
  const entries = (await readBat(io, footer, header)).subarray(0, Math.ceil(footer.currentSize / header.blockSize));
  const batmap = await checkBatmap(io, footer, header, entries, findings);
  const metadataEndsAt = await checkPlaces(io, footer, header, batmap, findings);
  checkBlocks(entries, metadataEndsAt, endFooterAt, findings);
  return findings.all();
}

/** The footer to go on with, which is the one that every reader takes (`findFooter`), and where data has to end. */
async function checkFooters(
  io: BlockIo,
  o: CheckOptions,
  findings: Findings,
): Promise<{ readonly footer: Footer | undefined; readonly endFooterAt: number }> {
  const atEnd = await orFinding(endFooter(io), (why) => {
    if (o.endFooterOptional !== true) findings.error('end-footer', `the footer at the end: ${why}`);
  });
  const endFooterAt = footerOffset(io.size, atEnd?.place ?? 'end');
  if (atEnd?.place === 'legacy-end') {
    findings.warning('end-footer', `the footer at byte ${endFooterAt} is an old one of 511 bytes`);
  }
  const end = atEnd?.footer;
  const copy = await orFinding(readFooterAt(io, 'copy'), (why) => {
    findings.error('footer-copy', `the copy of the footer at byte 0: ${why}`);
  });
  if (end !== undefined && copy !== undefined && !footersAgree(end, copy)) {
    const foreign = copyCounts(end, copy) ? ': the one at the end belongs to another image' : '';
    findings.error(
      'footers-differ',
      `the footer at byte ${io.size - FOOTER_BYTES} and its copy at byte 0 differ${foreign}`,
    );
  }
  return { footer: end === undefined || (copy !== undefined && copyCounts(end, copy)) ? copy : end, endFooterAt };
}

async function orFinding<T>(read: Promise<T>, report: (why: string) => void): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof RbdsrError && error.code === 'vhd-corrupt')) throw error;
    report(error.message);
    return undefined;
  }
}
