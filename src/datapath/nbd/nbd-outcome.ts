import { closeSync, openSync, writeSync } from 'node:fs';
import type { BlockIo } from '../../base/block-io.ts';
import { readIfExists, removeIfExists, writeFileAtomic } from '../../system/files.ts';

/**
 * What a server leaves about the writes that it has answered, for whoever finds it gone: `flushed`, `holding` while
 * there are writes that no flush has confirmed, or why it could not write them. The file is there from the server's
 * start, so that a full file system cannot keep the truth from it; a mark is one write of a few bytes.
 */
export class NbdOutcome {
  readonly #path: string;
  readonly #fd: number;
  #holding = false;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, 'w', 0o600);
    this.#mark(FLUSHED);
  }

  get holding(): boolean {
    return this.#holding;
  }

  set holding(holding: boolean) {
    if (holding === this.#holding) return;
    this.#mark(holding ? HOLDING : FLUSHED);
    this.#holding = holding;
  }

  failed(why: string): void {
    this.#mark(HOLDING);
    writeFileAtomic(this.#path, FAILED + why, 0o600);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #mark(mark: string): void {
    writeSync(this.#fd, mark, 0);
  }
}

/** Of one length, so that each overwrites the other. */
const FLUSHED = 'flushed\n';
const HOLDING = 'holding\n';
const FAILED = 'failed: ';

/**
 * Why answered writes may be missing from the disk; undefined where all are there, or where that was told. Afterwards
 * there is no outcome any more.
 */
export function takeOutcome(path: string): string | undefined {
  const why = lossIn(path);
  removeIfExists(path);
  return why;
}

/** The same, told once: of a loss it leaves that it was told, until the disk is released or served again. */
export function tellOutcome(path: string): string | undefined {
  const why = lossIn(path);
  if (why === undefined) removeIfExists(path);
  else writeFileAtomic(path, TOLD, 0o600);
  return why;
}

/** Whether there is a loss, told or not. */
export function hasLoss(path: string): boolean {
  return hasUntoldLoss(path) || readIfExists(path) === TOLD;
}

export function hasUntoldLoss(path: string): boolean {
  return lossIn(path) !== undefined;
}

const TOLD = 'told\n';

function lossIn(path: string): string | undefined {
  const text = readIfExists(path);
  if (text === undefined || text === FLUSHED || text === TOLD) return undefined;
  return text.startsWith(FAILED) ? text.slice(FAILED.length) : 'it ended before it had flushed its last writes';
}

/** `io`, with `outcome` told of each write before it is answered, and of each flush that leaves none behind. */
export function withOutcome(io: BlockIo, outcome: NbdOutcome): BlockIo {
  let running = 0;
  let started = 0;
  return {
    name: io.name,
    size: io.size,
    read: (offset, length) => io.read(offset, length),
    async write(offset, data) {
      outcome.holding = true;
      running += 1;
      started += 1;
      try {
        await io.write(offset, data);
      } finally {
        running -= 1;
      }
    },
    async flush() {
      const before = started;
      // One that runs meanwhile may be answered without being covered.
      const quiet = running === 0;
      await io.flush();
      if (quiet && started === before) outcome.holding = false;
    },
    close: () => io.close(),
  };
}
