import { chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, utimesSync } from 'node:fs';
import { removeIfExists } from '../../system/files.ts';
import type { Host } from '../host.ts';
import { type FileState, fingerprint, type PathState, readState } from './path-state.ts';
import { savedFile } from './saved-file.ts';
import { stageFile, stageLink } from './stage.ts';

/** A path that was not put back, because it is not as RBDSR left it. */
export interface LeftAlone {
  readonly path: string;
  readonly why: string;
}

/** Makes the path what it was; a file's content is the copy that was saved. */
export function restore(host: Host, path: string, state: PathState): LeftAlone | undefined {
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
