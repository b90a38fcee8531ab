import { chownSync, mkdirSync, readFileSync, utimesSync } from 'node:fs';
import { dirname } from 'node:path';
import { RbdsrError } from '../../base/error.ts';
import { type Step, step } from '../../base/steps.ts';
import { ensureDir, removeIfExists } from '../../system/files.ts';
import { runStepsAtOnce } from '../../system/running-steps.ts';
import type { Host } from '../host.ts';
import type { ChangeEntry } from './journal.ts';
import { eitherWay } from './mending.ts';
import { beforeOurs, keepBefore } from './own-content.ts';
import { describeState, fingerprint, type PathState, readState } from './path-state.ts';
import type { Placement } from './placement.ts';
import { saveFile } from './saved-file.ts';
import { stageFile, stageLink } from './stage.ts';
import { fingerprintOfWant } from './want-fingerprint.ts';

/** The folders of RBDSR's own, which come and go with the product and its journal. */
const OWN_FOLDERS = /^(\/opt|\/var\/lib)\/rbdsr(\/.*)?$/;

/**
 * Puts one path into the wanted state: saves what is there, records it, then replaces it in one step. True when
 * something was written. A process that dies after any step leaves what the next enable finishes and the next disable
 * undoes.
 */
export function put(host: Host, change: string, placement: Placement): boolean {
  putFolders(host, change, dirname(placement.path));
  const file = host.at(placement.path);
  const current = readState(file);
  const before = host.journal.entry(change, placement.path);
  const isWanted = fingerprint(current) === fingerprintOfWant(placement.want);
  if (isWanted && before !== undefined) return false;
  if (current.kind === 'other' || (current.kind === 'folder' && placement.want.kind !== 'folder')) {
    throw new RbdsrError('invalid-argument', {
      what: `${placement.path} is in the way`,
      expected: 'a file, a link or nothing',
      found: describeState(current),
      todo: 'Move it away.',
    });
  }
  runStepsAtOnce(putSteps, { host, change, placement, file, current, before, isWanted, found: current });
  return !isWanted;
}

/** The taking over of one path. */
interface Putting {
  readonly host: Host;
  readonly change: string;
  readonly placement: Placement;
  /** The path, for this process. */
  readonly file: string;
  readonly current: PathState;
  /** The journal's entry, where the path was taken over before. */
  readonly before: ChangeEntry | undefined;
  /** Nothing has to be written but the record. */
  readonly isWanted: boolean;
  /** What disable is to put back; known after the first step. */
  found: PathState;
}

export const putSteps: readonly Step<Putting>[] = [
  step('host.saved', save, {
    does: 'where it is a file, its content is copied into `/var/lib/rbdsr/saved`',
    leaves: { id: 'path-saved', says: 'the path as it was; a copy that nothing names' },
    mendedBy: eitherWay,
  }),
  step('host.recorded', record, {
    does: 'the journal says what was there and what comes',
    leaves: { id: 'path-recorded', says: 'the path as it was, with a record' },
    mendedBy: eitherWay,
  }),
  step('host.written', write, {
    does: 'the path is replaced in one move',
    leaves: { id: 'path-written', says: 'the path as the change wants it' },
    mendedBy: eitherWay,
    when: ({ isWanted }) => !isWanted,
  }),
];

function putFolders(host: Host, change: string, folder: string): void {
  if (host.has(folder)) return;
  putFolders(host, change, dirname(folder));
  if (OWN_FOLDERS.test(folder)) ensureDir(host.at(folder), 0o755);
  else put(host, change, { path: folder, want: { kind: 'folder', mode: 0o755 }, owner: 'ours' });
}

function save(putting: Putting): void {
  const { host, placement, file, current, before } = putting;
  putting.found = foundAt(host, placement, current, before);
  if (current.kind === 'file') saveFile(host, current, () => readFileSync(file));
}

function record({ host, change, placement, current, before, found }: Putting): void {
  const entry: ChangeEntry = {
    change,
    path: placement.path,
    found,
    wrote: [...new Set([...(before?.wrote ?? []), fingerprintOfWant(placement.want)])],
    ...(placement.block === undefined ? {} : { block: placement.block }),
  };
  host.journal.record(entry);
  host.writes.push({
    path: placement.path,
    was: current,
    entry,
    ...(before === undefined ? {} : { entryBefore: before }),
  });
}

function write({ host, file, placement: { want }, current }: Putting): void {
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

/** What disable is to put back: never anything of RBDSR's own. */
function foundAt(host: Host, placement: Placement, current: PathState, before: ChangeEntry | undefined): PathState {
  const known = before !== undefined && before.wrote.includes(fingerprint(current));
  const own = known ? undefined : beforeOurs(host, placement, current);
  if (own !== undefined && (before === undefined || placement.block === true)) return keepBefore(host, own);
  if (before === undefined) return current;
  return own === undefined && isNewOfTheirs(placement, current, before) ? current : before.found;
}

/**
 * A host update, or an administrator, has put something of their own there since: from now on that is what was there
 * before us.
 */
function isNewOfTheirs(placement: Placement, current: PathState, before: ChangeEntry): boolean {
  return placement.owner === 'theirs' && current.kind !== 'absent' && !before.wrote.includes(fingerprint(current));
}
