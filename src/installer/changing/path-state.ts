import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';

/** What is at a path of the host. A file's content is named by its hash. */
export type PathState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly target: string }
  | FileState
  | { readonly kind: 'other' };

export interface FileState {
  readonly kind: 'file';
  /** Permission bits. */
  readonly mode: number;
  readonly sha256: string;
  readonly uid: number;
  readonly gid: number;
  /** Milliseconds since 1970; `rpm -V` compares it. */
  readonly mtimeMs: number;
}

export function readState(path: string): PathState {
  try {
    const facts = lstatSync(path);
    if (facts.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path) };
    if (facts.isDirectory()) return { kind: 'folder' };
    if (!facts.isFile()) return { kind: 'other' };
    const { mode, uid, gid, mtimeMs } = facts;
    return { kind: 'file', mode: mode & 0o7777, sha256: sha256Of(readFileSync(path)), uid, gid, mtimeMs };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    throw error;
  }
}

/**
 * Equal for two states that an administrator would call the same: content, mode and link target; not owner and time.
 */
export function fingerprint(state: PathState): string {
  if (state.kind === 'link') return `link ${state.target}`;
  if (state.kind === 'file') return `file ${state.mode.toString(8)} ${state.sha256}`;
  return state.kind;
}

export function sha256Of(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** For people: "a link to X", "a file (mode 755, sha256 1234abcd...)". */
export function describeState(state: PathState): string {
  if (state.kind === 'absent') return 'nothing';
  if (state.kind === 'folder') return 'a folder';
  if (state.kind === 'link') return `a link to ${state.target}`;
  if (state.kind === 'other') return 'neither file, folder nor link';
  return `a file (mode ${state.mode.toString(8)}, sha256 ${state.sha256.slice(0, 12)})`;
}
