import { existsSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDir, namesIn } from '../files.ts';

/** The place of one process that waits for a lock. */
export interface Place {
  /** Says that this process still waits, and whether nobody who does came before it. */
  isFirst(): boolean;
  leave(): void;
}

/** Milliseconds after which one that has not said that it still waits is passed over: it is stopped. */
const STILL_MS = 10_000;
/** Its file is removed then; that of a process that is no more, at once. */
const GONE_MS = 60_000;

/** Names of this process's own places, of which it may have several. */
let count = 0;

/**
 * Who waits for a lock on this host, in the order in which they came: a file for each in a folder of memory, whose name
 * is when it came and whose time of change is when it last said that it waits. Whoever asks again and again, as we do,
 * would otherwise have the lock by chance, the one of eight perhaps never. It keeps order among those who use it, and
 * decides nothing: the lock does.
 */
export class LockQueue {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  isEmpty(): boolean {
    return this.#waiting().length === 0;
  }

  join(): Place {
    ensureDir(this.#folder, 0o755);
    // Every process of a host has the same monotonic clock.
    const name = `${process.hrtime.bigint().toString().padStart(20, '0')}-${process.pid}-${(count += 1)}`;
    const file = join(this.#folder, name);
    stillWaiting(file);
    return {
      isFirst: () => {
        stillWaiting(file);
        return this.#waiting()[0] === name;
      },
      leave: () => rmSync(file, { force: true }),
    };
  }

  /** In order. A clock that is set passes people over for a moment, which costs nothing but their turn. */
  #waiting(): string[] {
    return namesIn(this.#folder)
      .toSorted()
      .filter((name) => {
        const file = join(this.#folder, name);
        const silentMs = Math.abs(Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
        const isGone = silentMs > GONE_MS || !existsSync(`/proc/${name.split('-')[1] ?? ''}`);
        if (isGone) rmSync(file, { force: true });
        return !isGone && silentMs <= STILL_MS;
      });
  }
}

/** Makes it where it is not there, or not any more: this process was stopped for long. */
function stillWaiting(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    writeFileSync(file, '', { mode: 0o644 });
  }
}
