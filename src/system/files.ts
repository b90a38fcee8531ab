import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Replaces `path` with `data` so that a reader, or the file system after a power cut, has the old or the new file and
 * nothing between: a new file in the same folder, fsync, rename, fsync of the folder. `mode` is exact, whatever the
 * umask.
 */
export function writeFileAtomic(path: string, data: string | Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint().toString(16)}`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      fchmodSync(fd, mode);
      writeAll(fd, typeof data === 'string' ? Buffer.from(data) : data);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** The file's text, or undefined where there is none. */
export function readIfExists(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/**
 * What is in a folder; nothing where there is no such folder, or where the failure is one of `also`. Any other does not
 * say that there is nothing.
 */
export function namesIn(folder: string, also: readonly string[] = []): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', ...also].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/** True when there was a file to remove. */
export function removeIfExists(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** Makes the folder and those above it; `mode` is for the folders made now. */
export function ensureDir(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    // What Node says of a read-only file system, when it is to make several.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(path, { mode });
  }
}

function writeAll(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) done += writeSync(fd, data, done);
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
