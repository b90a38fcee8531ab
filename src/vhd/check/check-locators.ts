import type { BlockIo } from '../../base/block-io.ts';
import { SECTOR } from '../../base/units.ts';
import { DIFFERENCING, type Footer, FOOTER_BYTES } from '../format/footer.ts';
import type { Header } from '../format/header.ts';
import { isKnownLocator, isReadLocator, type Locator, locatorSpace } from '../format/locator.ts';
import { type ParentNames, readParentNames } from '../format/parent-names.ts';
import type { Findings } from './findings.ts';

/** The eight places for names of the parent: whether they are what the type of the disk asks for. */
export async function checkLocators(io: BlockIo, footer: Footer, header: Header, findings: Findings): Promise<void> {
  const { locators } = header;
  checkCodes(locators, findings);
  if (footer.diskType !== DIFFERENCING) {
    checkLeftOver(locators, findings);
    return;
  }
  for (const [slot, locator] of locators.entries()) {
    for (const what of wrongWith(locator, io.size)) findings.error('locator', `parent locator ${slot} ${what}`);
  }
  const names = await readParentNames(io, header);
  if (names.locators.length === 0)
    findings.error('locator', 'none of the parent locators of this differencing disk is readable');
  compareNames(names, findings);
}

function checkCodes(locators: readonly Locator[], findings: Findings): void {
  const codes = locators.map(({ code }) => code);
  for (const [slot, code] of codes.entries()) {
    if (code === 0) continue;
    const first = codes.indexOf(code);
    if (!isKnownLocator(code)) {
      findings.error('header-field', `parent locator ${slot} is of no platform that is known`);
    }
    if (first < slot) findings.error('header-field', `parent locators ${first} and ${slot} are of one platform`);
  }
}

/** blktap sees none of them where the first one is in use (`vhd_util_check_zeros`). */
function checkLeftOver(locators: readonly Locator[], findings: Findings): void {
  const used = locators.filter((locator) => locator.code !== 0 || !isUnused(locator));
  if (used.length === 0) return;
  const what = `a disk without a parent has ${used.length} parent locators`;
  if (locators[0] !== undefined && locators[0].code !== 0) findings.warning('locator', what);
  else findings.error('locator', what);
}

function wrongWith(locator: Locator, size: number): string[] {
  const { code, space, length, reserved, offset } = locator;
  if (code === 0) return isUnused(locator) ? [] : ['has no platform, and is not empty'];
  const room = locatorSpace(locator);
  const at = `at byte ${offset}`;
  const wrong: string[] = [];
  if (offset === 0 || space === 0 || length === 0) wrong.push('has no place, no room or no text');
  if (isReadLocator(code) && offset % SECTOR !== 0) wrong.push(`${at} lies at no whole sector`);
  if (isReadLocator(code) && room % SECTOR !== 0) wrong.push(`${at} has a room of ${space} bytes, no whole sectors`);
  if (length > room) wrong.push(`${at} is ${length} bytes long and has room for ${room}`);
  if (offset + room > size - FOOTER_BYTES) wrong.push(`${at} ends behind the footer`);
  if (reserved !== 0) wrong.push('has its reserved field in use');
  return wrong;
}

function isUnused({ space, length, reserved, offset }: Locator): boolean {
  return space === 0 && length === 0 && reserved === 0 && offset === 0;
}

/** Only the uuid says which disk is the parent; names are where it is looked for. */
function compareNames(names: ParentNames, findings: Findings): void {
  const paths = [names.name, ...names.locators.map(({ path }) => path)];
  const different = new Set(paths.map((path) => path.split(/[/\\]/u).at(-1) ?? '').filter((name) => name !== ''));
  if (different.size > 1) {
    const all = [...different].map((name) => JSON.stringify(name)).join(', ');
    findings.warning('parent-name', `the names of the parent differ: ${all}`);
  }
  if (paths.some((path) => /\P{ASCII}/u.test(path))) {
    findings.warning('parent-name', 'vhd-util cannot read a name of the parent that is not plain ASCII');
  }
}
