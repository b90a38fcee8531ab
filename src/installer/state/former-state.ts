import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { ensureDir, namesIn, writeFileAtomic } from '../../system/files.ts';
import { runStepsAtOnce } from '../../system/running-steps.ts';
import { FORMER_STATE_DIR, type Host, SAVED_DIR, STATE_DIR } from '../host.ts';
import { formerRecord, leaveNote, takeNoteAway } from './state-note.ts';

/** What 0.1.0 has recorded, below /opt/rbdsr. */
interface FormerState {
  readonly host: Host;
  readonly folder: string;
  readonly record: string;
}

/** Brings it to where it belongs. The next run goes on from wherever one was killed. */
export function bringStateOver(host: Host): void {
  const folder = host.at(FORMER_STATE_DIR);
  const record = formerRecord(folder);
  if (record !== undefined) runStepsAtOnce(bringOverSteps, { host, folder, record });
}

const again: Mending = {
  by: ['repair', 'enable', 'disable'],
  says: '`rbdsr repair`, `rbdsr enable`, or `rbdsr disable`, which go on from there',
};

export const bringOverSteps: readonly Step<FormerState>[] = [
  step('host.saved-brought-over', copySaved, {
    does: 'the copies of files in `/opt/rbdsr/state/saved` are made anew in `/var/lib/rbdsr/saved`',
    leaves: { id: 'copies-over', says: 'the record where it was; copies that nothing names' },
    mendedBy: again,
    when: isMissing,
  }),
  step('host.brought-over', writeRecord, {
    does: 'the record is written in `/var/lib/rbdsr`, and counts from then on',
    leaves: { id: 'record-over', says: 'the record in its place, and the old one that does not count' },
    mendedBy: again,
    when: isMissing,
  }),
  step('host.former-gone', removeFormer, {
    does: 'what is left of the old one goes',
    leaves: { id: 'former-gone', says: 'the record in its place, and nothing that keeps 0.1.0 away' },
    mendedBy: again,
  }),
  lastStep(({ folder }) => leaveNote(folder, STATE_DIR), 'a note takes its place, which 0.1.0 refuses'),
];

function isMissing({ host }: FormerState): boolean {
  return !host.has(`${STATE_DIR}/changes.json`);
}

function copySaved({ host, folder }: FormerState): void {
  const [from, to] = [join(folder, 'saved'), host.at(SAVED_DIR)];
  const names = namesIn(from);
  ensureDir(host.at(STATE_DIR), 0o700);
  if (names.length > 0) ensureDir(to, 0o700);
  for (const name of names) writeFileAtomic(join(to, name), readFileSync(join(from, name)), 0o600);
}

function writeRecord({ host, record }: FormerState): void {
  writeFileAtomic(host.at(`${STATE_DIR}/changes.json`), record, 0o600);
}

function removeFormer({ folder }: FormerState): void {
  for (const name of ['saved', 'stage']) rmSync(join(folder, name), { recursive: true, force: true });
  takeNoteAway(folder);
}
