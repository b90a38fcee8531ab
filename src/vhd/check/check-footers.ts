import type { BlockIo } from '../../base/block-io.ts';
import type { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import {
  copyCounts,
  endFooter,
  footerOffset,
  footersAgree,
  type FoundFooter,
  isFixedFile,
  readFooterAt,
} from '../format/find-footer.ts';
import { encodeFooter, FIXED, type Footer, FOOTER_BYTES } from '../format/footer.ts';
import type { DataEnd } from './check-blocks.ts';
import { type Findings, orFinding } from './findings.ts';

/** The footer to go on with, which is the one that every reader takes (`findFooter`), and where data has to end. */
export async function checkFooters(
  io: BlockIo,
  o: { readonly endFooterOptional?: boolean },
  findings: Findings,
): Promise<{ readonly footer: Footer | undefined; readonly dataEnd: DataEnd }> {
  const inUse = o.endFooterOptional === true;
  let whyNoEnd: RbdsrError | undefined;
  const end = await orFinding(endFooter(io), (error) => (whyNoEnd = error));
  const endsAt = end === undefined ? io.size : footerOffset(io.size, end.place);
  const dataEnd: DataEnd = { at: endsAt, what: end === undefined ? 'the end of the file' : 'the footer' };
  const rest = io.size % SECTOR;
  const isShort = rest === SECTOR - 1 && end?.place !== 'end';
  if (rest !== 0 && !isShort) findings.error('odd-size', `the file of ${io.size} bytes ends within a sector`);
  if (end?.place === 'legacy-end') {
    findings.warning('end-footer', `the footer at byte ${endsAt} is an old one of 511 bytes`);
  }
  if (end?.place === 'end' && !encodeFooter(end.footer).equals(await io.read(endsAt, FOOTER_BYTES))) {
    findings.warning('end-footer', 'the sum of the footer is of the time before the disk was hidden');
  }
  const oddEnd = `the footer of 511 bytes at byte ${endsAt} does not begin with a sector`;
  const isOdd = end?.place === 'legacy-end' && endsAt % SECTOR !== 0;
  if (end !== undefined && (await isAlone(io, end))) {
    if (isOdd) findings.error('end-footer', oddEnd);
    return { footer: end.footer, dataEnd };
  }
  const copy = await orFinding(readFooterAt(io, 'copy'), ({ message }) => {
    findings.error('footer-copy', `the copy of the footer at byte 0: ${message}`);
  });
  if (whyNoEnd !== undefined && !inUse) findings.error('end-footer', noEndFooter(whyNoEnd, copy));
  if (isOdd && (copy === undefined || !copyCounts(end.footer, copy))) findings.error('end-footer', oddEnd);
  if (end === undefined || copy === undefined) return { footer: copy ?? end?.footer, dataEnd };
  if (!footersAgree(end.footer, copy)) {
    const foreign = copyCounts(end.footer, copy) ? ': the one at the end belongs to another image' : '';
    const what = `the footer at byte ${endsAt} and its copy at byte 0 differ${foreign}`;
    if (inUse) findings.warning('footers-differ', what);
    else findings.error('footers-differ', what);
  }
  return { footer: copyCounts(end.footer, copy, inUse) ? copy : end.footer, dataEnd };
}

export async function hasFixedFooter(io: BlockIo): Promise<boolean> {
  const end = await orFinding(endFooter(io), () => {});
  return end?.footer.diskType === FIXED;
}

/** The footer of a fixed disk, which has none elsewhere; its content may begin with what looks like one. */
async function isAlone(io: BlockIo, end: FoundFooter): Promise<boolean> {
  if (end.footer.diskType !== FIXED) return false;
  return isFixedFile(io, end) || (await orFinding(readFooterAt(io, 'copy'), () => {})) === undefined;
}

function noEndFooter(error: RbdsrError, copy: Footer | undefined): string {
  if (error.detail.facts?.['field'] !== 'footer.cookie') return `the footer at the end: ${error.message}`;
  const why = 'it is overwritten where the disk is in use or its host crashed, and lost where the file is cut';
  const rest = copy === undefined ? '' : '; its copy at byte 0 is good, and --in-use bears that';
  return `there is no footer at the end: ${why}${rest}`;
}
