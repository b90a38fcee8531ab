import type { SrFinding } from '../../picture/fsck/finding.ts';
import type { Picture } from '../../picture/picture.ts';
import { renderFields } from '../table.ts';
import { missingText, nameOfSr, placeText, roomText } from './facts.ts';
import { shown, shownName } from './shown.ts';

/** What `rbdsr fsck` prints. Pure. */
export function fsckText(picture: Picture, findings: readonly SrFinding[]): string {
  return [
    renderFields([
      ['SR', `${picture.sr}${nameOfSr(picture)}`],
      ['on', placeText(picture)],
      ['room', roomText(picture)],
    ]),
    ...findings.map(findingText),
    missingText(picture),
    `\n${verdict(picture, findings)}\n`,
  ].join('');
}

function findingText({ severity, code, where, name, what, means, todo }: SrFinding): string {
  const called = name === undefined ? '' : ` "${shownName(name)}"`;
  return [
    `\n${severity}: ${shown(where)}${called} (${code})\n`,
    ...[what, means, todo].map((text) => `  ${shown(text)}\n`),
  ].join('');
}

export function verdict({ disks, missing }: Picture, findings: readonly SrFinding[]): string {
  if (disks === undefined) return 'The SR could not be looked at.';
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const looked = `${counted(disks.nodes.length, 'volume')} of disks and base copies were looked at`;
  const rest = missing.some(({ wanted }) => wanted) ? ', and not all that belongs to them' : '';
  if (findings.length === 0) return `${looked}${rest}: nothing is wrong.`;
  return `${looked}${rest}: ${counted(errors, 'error')}, ${counted(findings.length - errors, 'warning')}.`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
