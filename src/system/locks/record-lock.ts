import { closeSync, constants, fstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { nowMs } from '../../base/now.ts';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { ensureDir } from '../files.ts';
import { fcntl } from '../libc/libc.ts';
import { describeProcess } from '../processes.ts';
import { LockQueue, type Place } from './lock-queue.ts';

/** A lock this process holds until `release`. Releasing twice does nothing. */
export interface HeldLock extends AsyncDisposable {
  readonly path: string;
  release(): Promise<void>;
}

export interface RecordLockOptions {
  readonly wait: boolean;
  readonly deadline: Deadline;
  /** Several processes may hold it so at a time (F_RDLCK); nobody else then holds it alone. */
  readonly shared?: boolean;
  /** A folder in memory in which those who wait for this lock keep their order. */
  readonly queue?: string | undefined;
}

export interface LockHolder {
  /** 0 when the holder is in another pid namespace. */
  readonly pid: number;
  /** "pid 123 (rbdsr sm sr_attach) since 2026-01-31T10:00:00Z (12 s)". */
  readonly description: string;
}

/**
 * Takes the POSIX record lock of the whole file, which is what the stock driver takes (sm `flock.py`, `lock.py`); the
 * file and its folder are made when missing. Such a lock belongs to the process and is dropped when *any* descriptor of
 * the file is closed in it: never open a lock file otherwise, and take no lock twice in one process ('internal').
 * 'lock-busy' names the holder, at once or, with `wait`, at the deadline. A waiting process asks every 50 ms; with a
 * `queue` whoever came first has it first, and one that comes as it is free goes behind those who wait.
 */
export async function takeRecordLock(path: string, options: RecordLockOptions): Promise<HeldLock> {
  ensureDir(dirname(path), 0o755);
  const key = keyOf(path);
  if (inUse.has(key)) throw new RbdsrError('internal', { what: `this process takes the lock ${path} twice` });
  inUse.set(key, undefined);
  try {
    const fd = await acquire(path, options);
    inUse.set(key, fd);
    return heldLock(path, key, fd);
  } catch (error) {
    inUse.delete(key);
    throw error;
  }
}

/** Which other process holds the lock; undefined when none does. Safe for a lock this process holds itself. */
export function lockHolder(path: string): LockHolder | undefined {
  const key = keyOf(path);
  if (inUse.has(key)) {
    const own = inUse.get(key);
    return own === undefined ? undefined : holderOn(own);
  }
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return holderOn(fd);
  } finally {
    closeSync(fd);
  }
}

/** Every lock file this process has open, by its real path; no descriptor while it is being taken. */
const inUse = new Map<string, number | undefined>();

function keyOf(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

async function acquire(path: string, options: RecordLockOptions): Promise<number> {
  const started = nowMs();
  const queue = options.wait && options.queue !== undefined ? new LockQueue(options.queue) : undefined;
  let place: Place | undefined;
  let fd = openLockFile(path);
  try {
    for (;;) {
      const isTurn = place?.isFirst() ?? queue?.isEmpty() ?? true;
      if (isTurn && tryLock(fd, options.shared === true)) {
        if (isCurrent(fd, path)) return fd;
        closeSync(fd);
        fd = openLockFile(path);
      } else if (!options.wait || options.deadline.leftMs <= POLL_MS) {
        throw busy(path, holderOn(fd), nowMs() - started);
      } else {
        place ??= queue?.join();
        await pause(POLL_MS);
      }
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    place?.leave();
  }
}

const POLL_MS = 50;

function openLockFile(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
}

/**
 * False when the file was removed (stock clean-up does that) between open and lock: whoever comes next makes a new
 * file.
 */
function isCurrent(fd: number, path: string): boolean {
  const held = fstatSync(fd);
  const named = statSync(path, { throwIfNoEntry: false });
  return named?.ino === held.ino && named.dev === held.dev;
}

function heldLock(path: string, key: string, fd: number): HeldLock {
  let held = true;
  const release = async (): Promise<void> => {
    if (!held) return;
    held = false;
    inUse.delete(key);
    closeSync(fd);
  };
  return { path, release, [Symbol.asyncDispose]: release };
}

function busy(path: string, holder: LockHolder | undefined, waitedMs: number): RbdsrError {
  const found = holder === undefined ? 'a holder that has just gone' : holder.description;
  return new RbdsrError('lock-busy', {
    what: `the lock ${path} is held by another process, waited ${(waitedMs / 1000).toFixed(1)} s`,
    found,
    facts: { path, holder: holder?.pid ?? 0 },
  });
}

const F_GETLK = 5;
const F_SETLK = 6;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/**
 * `struct flock` of x86-64: short type, short whence, 4 bytes of padding, 64-bit start and length, 32-bit pid, 4 bytes
 * of padding.
 */
function wholeFile(type: number): Buffer {
  const flock = Buffer.alloc(32);
  flock.writeInt16LE(type, 0);
  return flock;
}

function tryLock(fd: number, shared: boolean): boolean {
  try {
    fcntl(fd, F_SETLK, wholeFile(shared ? F_RDLCK : F_WRLCK));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN' || code === 'EACCES') return false;
    throw error;
  }
}

function holderOn(fd: number): LockHolder | undefined {
  const flock = wholeFile(F_WRLCK);
  fcntl(fd, F_GETLK, flock);
  if (flock.readInt16LE(0) === F_UNLCK) return undefined;
  const pid = flock.readInt32LE(24);
  if (pid <= 0) return { pid: 0, description: 'a process outside this pid namespace' };
  return { pid, description: describeProcess(pid) };
}
