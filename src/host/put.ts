import { chownSync, existsSync, mkdirSync, readFileSync, utimesSync } from 'node:fs';
import { dirname } from 'node:path';
import { RbdsrError } from '../base/error.ts';
import { faultPoint } from '../system/fault-point.ts';
import { ensureDir, removeIfExists, writeFileAtomic } from '../system/files.ts';
import { type Host, SAVED_DIR } from './host.ts';
import type { JournalEntry } from './journal.ts';
import { describeState, type FileState, fingerprint, type PathState, readState, sha256Of } from './path-state.ts';
import type { Placement, Want } from './placement.ts';
import { stageFile, stageLink } from './stage.ts';

/** The folders of RBDSR's own, which come and go with the product and its journal. */
const OWN_FOLDERS = /^\/opt\/rbdsr(\/state(\/.*)?)?$/;

/**
 * Puts one path into the wanted state: saves what is there, records it, then replaces it in one step. True when something was written. A
 * process that dies after any step leaves what the next enable finishes and the next disable undoes. Steps: docs/installing.md.
 */
export function put(host: Host, change: string, placement: Placement): boolean {
  putFolders(host, change, dirname(placement.path));
  const file = host.at(placement.path);
  const current = readState(file);
  const wanted = fingerprintOf(placement.want);
  const before = host.journal.entry(change, placement.path);
  if (fingerprint(current) === wanted && before !== undefined) return false;
  if (current.kind === 'other' || (current.kind === 'folder' && placement.want.kind !== 'folder')) {
    throw new RbdsrError('invalid-argument', {
      what: `${placement.path} is in the way`,
      expected: 'a file, a link or nothing',
      found: describeState(current),
      todo: 'Move it away.',
    });
  }
  const found = before !== undefined && !isNewOfTheirs(placement, current, before) ? before.found : current;
  if (current.kind === 'file') save(host, file, current);
  faultPoint('host.saved');
  const entry: JournalEntry = {
    change,
    path: placement.path,
    found,
    wrote: [...new Set([...(before?.wrote ?? []), wanted])],
    ...(placement.block === undefined ? {} : { block: placement.block }),
  };
  host.journal.record(entry);
  host.steps.push({
    path: placement.path,
    was: current,
    entry,
    ...(before === undefined ? {} : { entryBefore: before }),
  });
  faultPoint('host.recorded');
  if (fingerprint(current) === wanted) return false;
  write(host, file, placement.want, current);
  faultPoint('host.written');
  return true;
}

export function fingerprintOf(want: Want): string {
  if (want.kind === 'link') return `link ${want.target}`;
  if (want.kind === 'file') return `file ${want.mode.toString(8)} ${sha256Of(want.data)}`;
  return want.kind;
}

/** Where the content of a file that was found is kept. */
export function savedFile(host: Host, state: FileState): string {
  return host.at(`${SAVED_DIR}/${state.sha256}`);
}

function putFolders(host: Host, change: string, folder: string): void {
  if (host.has(folder)) return;
  putFolders(host, change, dirname(folder));
  if (OWN_FOLDERS.test(folder)) ensureDir(host.at(folder), 0o755);
  else put(host, change, { path: folder, want: { kind: 'folder', mode: 0o755 }, owner: 'ours' });
}

/** A host update, or an administrator, has put something of their own there since: from now on that is what was there before us. */
function isNewOfTheirs(placement: Placement, current: PathState, before: JournalEntry): boolean {
  return placement.owner === 'theirs' && current.kind !== 'absent' && !before.wrote.includes(fingerprint(current));
}

/** Also what is about to be lost because somebody has changed a file of ours: enable says where it is. */
function save(host: Host, file: string, state: FileState): void {
  const target = savedFile(host, state);
  if (existsSync(target)) return;
  ensureDir(dirname(target), 0o700);
  writeFileAtomic(target, readFileSync(file), 0o600);
}

function write(host: Host, file: string, want: Want, current: PathState): void {
  if (want.kind === 'absent') removeIfExists(file);
  else if (want.kind === 'folder') mkdirSync(file, { mode: want.mode });
  else if (want.kind === 'link') stageLink(host, want.target, file);
  else {
    stageFile(host, want.data, want.mode, file, (staged) => {
      if (current.kind === 'file') chownSync(staged, current.uid, current.gid);
      if (want.mtimeMs !== undefined) utimesSync(staged, want.mtimeMs / 1000, want.mtimeMs / 1000);
    });
  }
}
