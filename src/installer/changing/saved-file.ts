import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { ensureDir, writeFileAtomic } from '../../system/files.ts';
import { type Host, SAVED_DIR } from '../host.ts';
import type { FileState } from './path-state.ts';

/** Where the content of a file that was found is kept. */
export function savedFile(host: Host, { sha256 }: FileState): string {
  return host.at(`${SAVED_DIR}/${sha256}`);
}

/**
 * Keeps it, for disable; and what is about to be lost because somebody has changed a file of ours: enable says where it
 * is.
 */
export function saveFile(host: Host, state: FileState, content: () => Uint8Array): void {
  const target = savedFile(host, state);
  if (existsSync(target)) return;
  ensureDir(dirname(target), 0o700);
  writeFileAtomic(target, content(), 0o600);
}
