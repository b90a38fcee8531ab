import { DIFFERENCING, type Footer, isPoisoned } from '../format/footer.ts';
import { type Header, NO_UUID, parentNameText } from '../format/header.ts';
import { isKnownLocator } from '../format/locator.ts';
import type { Findings } from './findings.ts';

const RESERVED_FEATURE = 2;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/** Fields that nobody reads, and that blktap holds against the specification all the same (`vhd-util check`). */
export function checkFields(footer: Footer, header: Header, findings: Findings): void {
  const footerIs = (wrong: boolean, what: string): void => void (wrong && findings.error('footer-field', what));
  const headerIs = (wrong: boolean, what: string): void => void (wrong && findings.error('header-field', what));
  if (isPoisoned(footer)) {
    const what = 'a resize of this disk was cut short (its footers say v_poison)';
    findings.error('cut-short', `${what}: the journal of that resize has to be played back, or the disk restored`);
  }
  footerIs((footer.features & RESERVED_FEATURE) === 0, 'the feature bit 2 of the footer, which is always set, is not');
  footerIs(footer.uuid === NO_UUID, 'the uuid is zero: a child of this disk would count as a child of a raw one');
  footerIs(footer.savedState > 1, `the saved state is ${footer.savedState}, neither 0 nor 1`);
  footerIs(!isZero(footer.reserved), 'the reserved bytes of the footer are in use');
  headerIs(header.dataOffset !== ALL_ONES, 'the unused offset of the header is not all ones');
  headerIs(!isZero(header.reserved1) || !isZero(header.reserved2), 'a reserved field of the header is in use');
  if (footer.diskType !== DIFFERENCING) {
    const left = header.parentUuid !== NO_UUID || parentNameText(header) !== '' || header.parentTimestamp !== 0;
    headerIs(left, 'the header has a parent, and the disk is of a type that has none');
  }
  const codes = header.locators.map(({ code }) => code);
  for (const [slot, code] of codes.entries()) {
    if (code === 0) continue;
    headerIs(!isKnownLocator(code), `parent locator ${slot} is of no platform that is known`);
    headerIs(codes.indexOf(code) < slot, `parent locators ${codes.indexOf(code)} and ${slot} are of one platform`);
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
