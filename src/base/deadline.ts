import { RbdsrError } from './error.ts';
import { nowMs } from './now.ts';

const CLEAN_UP_MS = 5000;
/** What a timer of Node holds, 24.8 days: one that is set for longer goes off at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * The moment by which an operation has to have answered, on the monotonic clock. Made once in `main` and passed down;
 * whatever waits takes one.
 */
export class Deadline {
  readonly #at: number;

  private constructor(at: number) {
    this.#at = at;
  }

  static after(ms: number): Deadline {
    return new Deadline(nowMs() + Math.min(ms, LONGEST_MS));
  }

  /** Milliseconds left, never below 0. */
  get leftMs(): number {
    return Math.max(0, this.#at - nowMs());
  }

  get expired(): boolean {
    return this.leftMs === 0;
  }

  /** The earlier of this deadline and `ms` from now: for a step that must leave time for what follows. */
  within(ms: number): Deadline {
    return new Deadline(Math.min(this.#at, nowMs() + ms));
  }

  /**
   * This deadline, or a few seconds from now where less is left: for what undoes an operation, often because its time
   * is over. Short, since by then somebody waits for the answer.
   */
  forCleanUp(): Deadline {
    return new Deadline(Math.max(this.#at, nowMs() + CLEAN_UP_MS));
  }

  /**
   * `promise`'s outcome, or a 'deadline' error that names what was waited for, as it is known by then. The promise
   * itself is not cancelled.
   */
  async race<T>(promise: Promise<T>, waitedFor: string | (() => string)): Promise<T> {
    const started = nowMs();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const exceeded = (): RbdsrError =>
        this.exceeded(typeof waitedFor === 'string' ? waitedFor : waitedFor(), started);
      timer = setTimeout(() => reject(exceeded()), this.leftMs);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls `probe` until it returns something other than undefined; waits `everyMs` between calls. */
  async until<T>(probe: () => Promise<T | undefined> | T | undefined, waitedFor: string, everyMs = 50): Promise<T> {
    const started = nowMs();
    for (;;) {
      const value = await probe();
      if (value !== undefined) return value;
      if (this.leftMs <= everyMs) throw this.exceeded(waitedFor, started);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  exceeded(waitedFor: string, startedAt: number): RbdsrError {
    const seconds = ((nowMs() - startedAt) / 1000).toFixed(1);
    return new RbdsrError('deadline', { what: `waited ${seconds} s for ${waitedFor}`, facts: { waitedFor } });
  }
}
