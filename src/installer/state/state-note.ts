import { existsSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ensureDir, namesIn, readIfExists, removeIfExists, writeFileAtomic } from '../../system/files.ts';

/**
 * Where 0.1.0 looks for its record (host.ts, FORMER_STATE_DIR) it finds a note of a format that it does not know, while
 * RBDSR is enabled: its commands then refuse, and say that the version which wrote it is needed. Without one it would
 * take what RBDSR has put on the host for the host's own.
 */
export function leaveNote(folder: string, state: string): void {
  const file = noteIn(folder);
  // The product may be gone.
  if (!existsSync(dirname(folder)) || readIfExists(file) !== undefined) return;
  ensureDir(folder, 0o755);
  writeFileAtomic(file, `${JSON.stringify({ format: 2, state })}\n`, 0o644);
}

export function takeNoteAway(folder: string): void {
  removeIfExists(noteIn(folder));
  if (existsSync(folder) && namesIn(folder).length === 0) rmdirSync(folder);
}

/** What 0.1.0 has recorded in its folder. */
export function formerRecord(folder: string): string | undefined {
  const text = readIfExists(noteIn(folder));
  return text === undefined || isNote(text) ? undefined : text;
}

function noteIn(folder: string): string {
  return join(folder, 'changes.json');
}

function isNote(text: string): boolean {
  return text.startsWith('{"format":2,');
}
