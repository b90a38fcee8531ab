import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { faultPoint } from '../../system/fault-point.ts';
import { ensureDir, namesIn, writeFileAtomic } from '../../system/files.ts';
import { FORMER_STATE_DIR, type Host, SAVED_DIR, STATE_DIR } from '../host.ts';
import { formerRecord, leaveNote, takeNoteAway } from './state-note.ts';

/**
 * Brings what 0.1.0 has recorded, below /opt/rbdsr, to where it belongs: the copies of files, then the record, which
 * counts from then on; then what was left goes, and the note takes the old record's place last. The next run goes on
 * from wherever one was killed.
 */
export function bringStateOver(host: Host): void {
  const former = host.at(FORMER_STATE_DIR);
  const record = formerRecord(former);
  if (record === undefined) return;
  if (!host.has(`${STATE_DIR}/changes.json`)) {
    ensureDir(host.at(STATE_DIR), 0o700);
    copySaved(join(former, 'saved'), host.at(SAVED_DIR));
    faultPoint('host.saved-brought-over');
    writeFileAtomic(host.at(`${STATE_DIR}/changes.json`), record, 0o600);
    faultPoint('host.brought-over');
  }
  for (const name of ['saved', 'stage']) rmSync(join(former, name), { recursive: true, force: true });
  takeNoteAway(former);
  faultPoint('host.former-gone');
  leaveNote(former, STATE_DIR);
}

function copySaved(from: string, to: string): void {
  const names = namesIn(from);
  if (names.length > 0) ensureDir(to, 0o700);
  for (const name of names) writeFileAtomic(join(to, name), readFileSync(join(from, name)), 0o600);
}
