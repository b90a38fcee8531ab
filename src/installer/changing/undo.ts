import { chownSync, readFileSync } from 'node:fs';
import { type Step, step } from '../../base/steps.ts';
import { runStepsAtOnce } from '../../system/running-steps.ts';
import type { Host } from '../host.ts';
import { removeBytecode } from './bytecode.ts';
import type { ChangeEntry } from './journal.ts';
import { withoutBlock } from './marked-block.ts';
import { eitherWay } from './mending.ts';
import { describeState, type FileState, fingerprint, type PathState, readState } from './path-state.ts';
import { type LeftAlone, restore } from './restore.ts';
import { saveFile } from './saved-file.ts';
import { stageFile } from './stage.ts';

/**
 * Puts back what was there before, unless somebody else has changed the path since; then it stays as it is. Either way
 * RBDSR is done with it afterwards, and its entry is gone from the journal.
 */
export function undoEntry(host: Host, entry: ChangeEntry): LeftAlone | undefined {
  const undoing = undoingOf(host, entry);
  runStepsAtOnce(undoSteps, undoing);
  return undoing.left;
}

/** Undoes what a plan does not want any more; a failing enable takes that back, too. */
export function withdraw(host: Host, entry: ChangeEntry): void {
  runStepsAtOnce(withdrawSteps, undoingOf(host, entry));
}

/** The putting back of one path. */
interface Undoing {
  readonly host: Host;
  readonly entry: ChangeEntry;
  /** The path, for this process. */
  readonly file: string;
  readonly current: PathState;
  /** What it was before RBDSR. */
  readonly found: PathState;
  left: LeftAlone | undefined;
}

function undoingOf(host: Host, entry: ChangeEntry): Undoing {
  const file = host.at(entry.path);
  return { host, entry, file, current: readState(file), found: foundBy(entry), left: undefined };
}

export const undoSteps: readonly Step<Undoing>[] = [
  step('host.undone', putBack, {
    does: 'what was there is put back; what somebody else has changed stays',
    leaves: { id: 'path-undone', says: 'the path as it was before RBDSR, with a record' },
    mendedBy: eitherWay,
  }),
  step('host.dropped', ({ host, entry }) => host.journal.drop(entry), {
    does: 'its record goes from the journal',
    leaves: { id: 'path-dropped', says: 'the path as it was before RBDSR' },
    mendedBy: eitherWay,
  }),
];

export const withdrawSteps: readonly Step<Undoing>[] = [
  step('host.kept', keep, {
    does: 'where it is a file, its content is copied into `/var/lib/rbdsr/saved`',
    leaves: { id: 'path-kept', says: 'the path as it was; a copy that nothing names' },
    mendedBy: eitherWay,
  }),
  ...undoSteps,
];

/** 0.1.0, installed again after /opt/rbdsr was lost, took what it had written itself for what was there before it. */
function foundBy({ found, wrote, block }: ChangeEntry): PathState {
  return block !== true && found.kind !== 'folder' && wrote.includes(fingerprint(found)) ? { kind: 'absent' } : found;
}

function putBack(undoing: Undoing): void {
  const { host, entry, file, current, found } = undoing;
  const print = fingerprint(current);
  if (print !== fingerprint(found)) {
    if (entry.wrote.includes(print)) undoing.left = restore(host, entry.path, found);
    else if (entry.block === true && current.kind === 'file') undoing.left = removeBlock(host, entry, file, current);
    else undoing.left = leave(entry, `it is ${describeState(current)} now, which RBDSR did not put there`);
  }
  if (found.kind === 'absent' && undoing.left === undefined) removeBytecode(file);
}

/** Whoever takes it back finds it among the writes of this process. */
function keep({ host, entry, file, current }: Undoing): void {
  if (current.kind === 'file') saveFile(host, current, () => readFileSync(file));
  host.writes.push({ path: entry.path, was: current, entry, entryBefore: entry });
}

function leave({ path, found }: ChangeEntry, why: string): LeftAlone {
  return { path, why: `${why}; before RBDSR it was ${describeState(found)}` };
}

/** The others' changes stay, our lines go. */
function removeBlock(host: Host, entry: ChangeEntry, file: string, current: FileState): LeftAlone | undefined {
  const rest = withoutBlock(readFileSync(file, 'utf8'));
  if (rest === undefined) return leave(entry, "RBDSR's lines in it are gone or were changed");
  stageFile(host, rest, current.mode, file, (staged) => chownSync(staged, current.uid, current.gid));
  return { path: entry.path, why: "RBDSR's lines were taken out; what others have changed in it stays" };
}
