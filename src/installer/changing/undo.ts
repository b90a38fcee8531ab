import { chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, utimesSync } from 'node:fs';
import { faultPoint } from '../../system/fault-point.ts';
import { removeIfExists } from '../../system/files.ts';
import type { Host } from '../host.ts';
import type { ChangeEntry } from './journal.ts';
import { withoutBlock } from './marked-block.ts';
import { describeState, type FileState, fingerprint, type PathState, readState } from './path-state.ts';
import { removeBytecode } from './bytecode.ts';
import { saveFile, savedFile } from './saved-file.ts';
import { stageFile, stageLink } from './stage.ts';

/** A path that was not put back, because it is not as RBDSR left it. */
export interface LeftAlone {
  readonly path: string;
  readonly why: string;
}

/**
 * Puts back what was there before, unless somebody else has changed the path since; then it stays as it is. Either way
 * RBDSR is done with it afterwards, and its entry is gone from the journal.
 */
export function undoEntry(host: Host, entry: ChangeEntry): LeftAlone | undefined {
  const file = host.at(entry.path);
  const current = readState(file);
  const print = fingerprint(current);
  const found = foundBy(entry);
  let left: LeftAlone | undefined;
  faultPoint('host.undo');
  if (print !== fingerprint(found)) {
    if (entry.wrote.includes(print)) left = restore(host, entry.path, found);
    else if (entry.block === true && current.kind === 'file') left = removeBlock(host, entry, file, current);
    else left = leave(entry, `it is ${describeState(current)} now, which RBDSR did not put there`);
  }
  if (found.kind === 'absent' && left === undefined) removeBytecode(file);
  faultPoint('host.undone');
  host.journal.drop(entry);
  return left;
}

/** 0.1.0, installed again after /opt/rbdsr was lost, took what it had written itself for what was there before it. */
function foundBy({ found, wrote, block }: ChangeEntry): PathState {
  return block !== true && found.kind !== 'folder' && wrote.includes(fingerprint(found)) ? { kind: 'absent' } : found;
}

/** Undoes what a plan does not want any more; a failing enable takes that back, too. */
export function withdraw(host: Host, entry: ChangeEntry): void {
  const file = host.at(entry.path);
  const was = readState(file);
  if (was.kind === 'file') saveFile(host, was, () => readFileSync(file));
  host.steps.push({ path: entry.path, was, entry, entryBefore: entry });
  undoEntry(host, entry);
}

/**
 * Takes back the steps of this process, the last one first: each path and each entry of the journal is as it was before
 * it.
 */
export function takeBack(host: Host): readonly LeftAlone[] {
  return host.steps
    .splice(0)
    .toReversed()
    .flatMap(({ path, was, entry, entryBefore }) => {
      faultPoint('host.take-back');
      const left = restore(host, path, was);
      if (entryBefore === undefined) host.journal.drop(entry);
      else host.journal.record(entryBefore);
      return left ?? [];
    });
}

function leave({ path, found }: ChangeEntry, why: string): LeftAlone {
  return { path, why: `${why}; before RBDSR it was ${describeState(found)}` };
}

function restore(host: Host, path: string, state: PathState): LeftAlone | undefined {
  const file = host.at(path);
  if (fingerprint(readState(file)) === fingerprint(state)) return undefined;
  if (state.kind === 'link') stageLink(host, state.target, file);
  else if (state.kind === 'file') return restoreFile(host, path, state);
  else if (state.kind === 'absent') return remove(path, file);
  else if (state.kind === 'folder') mkdirSync(file, { mode: 0o755 });
  return undefined;
}

function restoreFile(host: Host, path: string, state: FileState): LeftAlone | undefined {
  const saved = savedFile(host, state);
  if (!existsSync(saved)) return { path, why: `the copy of what it was, ${saved}, is gone` };
  stageFile(host, readFileSync(saved), state.mode, host.at(path), (staged) => {
    chownSync(staged, state.uid, state.gid);
    utimesSync(staged, state.mtimeMs / 1000, state.mtimeMs / 1000);
  });
  return undefined;
}

function remove(path: string, file: string): LeftAlone | undefined {
  if (readState(file).kind !== 'folder') {
    removeIfExists(file);
    return undefined;
  }
  try {
    rmdirSync(file);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    return { path, why: 'there are files of others in this folder' };
  }
}

/** The others' changes stay, our lines go. */
function removeBlock(host: Host, entry: ChangeEntry, file: string, current: FileState): LeftAlone | undefined {
  const rest = withoutBlock(readFileSync(file, 'utf8'));
  if (rest === undefined) return leave(entry, "RBDSR's lines in it are gone or were changed");
  stageFile(host, rest, current.mode, file, (staged) => chownSync(staged, current.uid, current.gid));
  return { path: entry.path, why: "RBDSR's lines were taken out; what others have changed in it stays" };
}
