/** Something that goes wrong in the lab and can be taken back. */
export interface Fault {
  /** As a log says it: "host2 is frozen". */
  readonly what: string;
  /** Returns once it has happened; what others notice of it, and when, is theirs to say. */
  begin(): Promise<void>;
  /** Takes it back; also where it has ended by itself, or has begun only in part. */
  end(): Promise<void>;
}

/** The faults of one lab that have begun and not ended, so that a scenario that fails leaves none to the next. */
export class Faults {
  readonly #begun: Fault[] = [];

  async begin(fault: Fault): Promise<Fault> {
    this.#begun.push(fault);
    await fault.begin();
    return fault;
  }

  async end(fault: Fault): Promise<void> {
    await fault.end();
    const index = this.#begun.indexOf(fault);
    if (index >= 0) this.#begun.splice(index, 1);
  }

  /** The newest first. One that cannot be taken back does not keep the others; then it throws for all of them. */
  async endAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const fault of this.#begun.splice(0).reverse()) {
      await fault.end().catch((error: unknown) => failures.push(new Error(`left: ${fault.what}`, { cause: error })));
    }
    if (failures.length > 0) throw new AggregateError(failures, 'faults of the lab could not be taken back');
  }
}
