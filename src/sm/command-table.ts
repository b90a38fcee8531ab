import type { Handler } from './handler.ts';

/** One command of the SM protocol. */
export interface Command {
  /** Holds `/var/lock/sm/<sr>/sr` from before the handler starts until it is done. */
  readonly exclusive: boolean;
  /**
   * Changes something of the SR on this host without that lock: what an earlier command may still write there is waited
   * for all the same.
   */
  readonly changes: boolean;
  /** Refused on a host that is not the pool master: one writer of LVM metadata. */
  readonly masterOnly: boolean;
  /** Members a request must carry; what is absent is a 'bad-request'. */
  readonly needs: readonly Need[];
  /** Names of the entries of `args` that must be there. */
  readonly args: readonly string[];
  /** Seconds after which the launcher answers for a worker that has not. */
  readonly deadlineSeconds: number;
  /** The number of a failure that has no number of its own (a program, xapi), as SRCommand of sm has it. */
  readonly defaultNumber: number;
  /** Loads the code of this command and nothing else; absent: known, and answered 38 with `why`. */
  readonly load?: () => Promise<Handler>;
  /** Why it does not work, as a sentence. */
  readonly why?: string;
}

/** A member of SmRequest. `srRef` proves that xapi speaks: only then LVM metadata may be written. */
export type Need = 'session' | 'srRef' | 'srUuid' | 'vdiRef' | 'vdiUuid';
