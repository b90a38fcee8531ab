import type { Picture } from '../picture.ts';
import { chainFindings } from './chain-findings.ts';
import { diskFindings } from './disk-findings.ts';
import { type Examined, examine } from './examined.ts';
import type { SrFinding, SrFindingCode } from './finding.ts';
import { groupFindings } from './group-findings.ts';
import { hostFindings } from './host-findings.ts';
import { journalFindings } from './journal-findings.ts';
import { leftoverFindings } from './leftover-findings.ts';
import { metadataFindings } from './metadata-findings.ts';
import { xapiFindings } from './xapi-findings.ts';

const CHECKS: readonly ((examined: Examined) => readonly SrFinding[])[] = [
  groupFindings,
  journalFindings,
  diskFindings,
  chainFindings,
  metadataFindings,
  leftoverFindings,
  hostFindings,
  xapiFindings,
];

/**
 * All that is wrong with an SR, errors first, as far as the picture tells: nothing is concluded from what could not be
 * asked. Pure.
 */
export function srFindings(picture: Picture): readonly SrFinding[] {
  const { disks } = picture;
  if (disks === undefined) return [];
  const examined = examine(picture, disks);
  const all = CHECKS.flatMap((check) => check(examined)).map((finding) => afterJournals(examined, finding));
  return [...all.filter(isError), ...all.filter((finding) => !isError(finding))];
}

/** What is found beside a journal may be a part of what it tells of, and mending it by hand would take that away. */
function afterJournals({ disks }: Examined, finding: SrFinding): SrFinding {
  if (disks.journals.length === 0 || finding.code === 'journal' || finding.code === 'journal-unreadable')
    return finding;
  const todo = `Nothing, before the interrupted operation is finished or undone: it may end this, too. If it is still so then: ${finding.todo}`;
  return { ...finding, todo, ...(LOST.includes(finding.code) ? { means: RENAMED } : {}) };
}

const LOST: readonly SrFindingCode[] = ['record-without-volume', 'xapi-without-volume'];
const RENAMED = 'An operation was interrupted in the course of which volumes have other names: it is one of those.';

function isError({ severity }: SrFinding): boolean {
  return severity === 'error';
}
