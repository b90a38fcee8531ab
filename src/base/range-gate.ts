/**
 * Keeps a read-modify-write of partial sectors apart from every other write to the same range. Whole-sector writes pass
 * each other freely: their order is the caller's affair.
 */
export class RangeGate {
  readonly #inside = new Set<Entry>();

  /** Resolves once the range may be written; the result has to be given to `leave`. */
  async enter(start: number, end: number, exclusive: boolean): Promise<RangePass> {
    for (let other = this.#conflict(start, end, exclusive); other; other = this.#conflict(start, end, exclusive)) {
      await left(other);
    }
    const entry: Entry = { start, end, exclusive, waiters: [] };
    this.#inside.add(entry);
    return entry;
  }

  leave(pass: RangePass): void {
    const entry = pass as Entry;
    this.#inside.delete(entry);
    for (const wake of entry.waiters) wake();
  }

  #conflict(start: number, end: number, exclusive: boolean): Entry | undefined {
    for (const entry of this.#inside) {
      if ((exclusive || entry.exclusive) && entry.start < end && start < entry.end) return entry;
    }
    return undefined;
  }
}

export interface RangePass {
  readonly start: number;
  readonly end: number;
}

interface Entry extends RangePass {
  readonly exclusive: boolean;
  readonly waiters: (() => void)[];
}

function left(entry: Entry): Promise<void> {
  return new Promise((resolve) => entry.waiters.push(resolve));
}
