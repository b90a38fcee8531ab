import { formatBytes, GiB } from '../../base/units.ts';
import {
  DIFFERENCING,
  FIXED,
  type Footer,
  isOfTap,
  isPoisoned,
  TAP_0_1,
  TAP_1_3,
  timestampField,
  UNUSED,
} from '../format/footer.ts';
import { packedGeometry } from '../format/geometry.ts';
import { type Header, NO_UUID } from '../format/header.ts';
import type { Findings } from './findings.ts';

const TEMPORARY_FEATURE = 1;
const RESERVED_FEATURE = 2;
/** What an SR takes (sm `vhdutil.MAX_VHD_SIZE`). */
const MOST_IN_SR = 2040 * GiB;
/** blktap allows clocks to differ so much (vhd-util-check, `TIMESTAMP_MAX_SLACK`). */
const SLACK_SECONDS = 1800;

/** Fields of the footer that nobody reads, and that blktap judges all the same (`vhd-util check`). */
export function checkFooterFields(footer: Footer, now: Date, findings: Findings): void {
  const wrongIf = (wrong: boolean, what: string): void => void (wrong && findings.error('footer-field', what));
  if (isPoisoned(footer)) {
    const what = 'a resize of this disk was cut short (its footers say v_poison)';
    findings.error('cut-short', `${what}: the journal of that resize has to be played back, or the disk restored`);
  }
  const { features, creatorVersion, diskType } = footer;
  wrongIf((features & RESERVED_FEATURE) === 0, 'the feature bit 2 of the footer, which is always set, is not');
  wrongIf((features & ~(TEMPORARY_FEATURE | RESERVED_FEATURE)) !== 0, 'the footer has features that nobody defined');
  wrongIf(footer.uuid === NO_UUID, 'the uuid is zero: a child of this disk would count as a child of a raw one');
  wrongIf(footer.savedState > 1, `the saved state is ${footer.savedState}, neither 0 nor 1`);
  wrongIf(footer.hidden > 1, `the hidden flag is ${footer.hidden}, neither 0 nor 1`);
  const isFixed = diskType === FIXED;
  wrongIf(isFixed && footer.dataOffset !== UNUSED, 'the data offset of a fixed disk is not all ones');
  const isTooOld = isOfTap(footer) && creatorVersion === TAP_0_1 && !isFixed;
  wrongIf(isTooOld, 'the disk is of tap 0.1, which no blktap opens any more');
  wrongIf(isOfTap(footer) && creatorVersion > TAP_1_3, 'the disk is of a tap newer than 1.3, which there is not');
  judgeReserved(footer.reserved, 'the reserved bytes of the footer are in use', 'footer-field', findings);
  if (isInFuture(footer.timestamp, now)) findings.warning('future', 'the disk was created in the future');
  if (packedGeometry(footer.currentSize) < footer.geometry) {
    findings.warning('geometry', 'the geometry is larger than the size, which is what counts');
  }
  if (footer.currentSize > MOST_IN_SR) {
    findings.warning(
      'too-large',
      `no SR takes more than 2040 GiB, and this disk has ${formatBytes(footer.currentSize)}`,
    );
  }
}

/** The same of the header; its locators aside. */
export function checkHeaderFields(footer: Footer, header: Header, now: Date, findings: Findings): void {
  const wrongIf = (wrong: boolean, what: string): void => void (wrong && findings.error('header-field', what));
  wrongIf(header.dataOffset !== UNUSED, 'the unused offset of the header is not all ones');
  wrongIf(!isZero(header.reserved1), 'the first reserved field of the header is in use');
  judgeReserved(header.reserved2, 'the last reserved field of the header is in use', 'header-field', findings);
  if (footer.diskType === DIFFERENCING) {
    if (isInFuture(header.parentTimestamp, now))
      findings.warning('future', 'the time of the parent lies in the future');
    return;
  }
  const what = 'the header has a parent, and the disk is of a type that has none';
  if (header.parentUuid !== NO_UUID || header.parentTimestamp !== 0) findings.error('header-field', what);
  else judgeReserved(header.parentName, what, 'header-field', findings);
}

/** blktap does not see that the first byte is in use where that is so (`vhd_util_check_zeros`). */
function judgeReserved(
  bytes: Uint8Array,
  what: string,
  code: 'footer-field' | 'header-field',
  findings: Findings,
): void {
  const first = bytes.findIndex((byte) => byte !== 0);
  if (first > 0) findings.error(code, what);
  else if (first === 0) findings.warning(code, what);
}

function isInFuture(timestamp: number, now: Date): boolean {
  return timestamp > timestampField(now) + SLACK_SECONDS;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
