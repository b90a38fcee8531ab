import type { Deadline } from '../../base/deadline.ts';
import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import type { SrUuid } from '../../base/ids.ts';
import type { HeldLock } from '../../system/locks/record-lock.ts';
import type { Xapi } from '../../xapi/client.ts';
import type { GivenSession } from '../../xapi/lasting-session.ts';
import type { becomeLateWriter } from './late-writers.ts';
import { STOCK_SR_LOCKS } from '../../dom0/stock-sr-locks.ts';
import type { LockOptions, ReadingOptions, SrWork } from './work.ts';

export interface ConnectOptions {
  readonly patient?: boolean;
}

/** What work is opened with. */
export interface GivenWork extends Pick<SrWork, 'subject' | 'profile' | 'deadline' | 'log' | 'waiting'> {
  /** Of xapi, where its caller gave one. */
  readonly session?: string | undefined;
  /** xapi's task that this work is a part of. */
  readonly subtaskOf?: string | undefined;
  /** For an error: `sr_scan`. */
  readonly title: string;
}

/**
 * The locks and the connection of one piece of work. Their code is loaded by their first use: most commands lack one or
 * the other.
 */
export class WorkResources {
  readonly #given: GivenWork;
  readonly #held = new Set<HeldLock>();
  /** Those of `#held` that stock's hook for a dead host waits for. */
  readonly #stock = new Set<HeldLock>();
  /** SRs that this call may be changing. */
  readonly #touched = new Set<SrUuid>();
  #isLate = false;
  /** How this call becomes late: known once an SR is touched. A reader where nothing but reads is on its way. */
  #become: typeof becomeLateWriter | undefined;
  /** SRs of which a read has not come back in its time: something of this process may wait for it. */
  readonly #unread = new Set<SrUuid>();
  #ownSr: HeldLock | undefined;
  readonly #session: GivenSession | undefined;
  #xapi: Promise<Xapi> | undefined;
  readonly #atEnd: (() => Promise<void>)[] = [];

  constructor(given: GivenWork) {
    this.#given = given;
    const { session } = given;
    this.#session = session === undefined ? undefined : { ref: session, known: false };
  }

  /** The SR's lock for the whole command. */
  async lockOwnSr(): Promise<void> {
    this.#ownSr = await this.#lockQuietSr(this.#srOfRequest(), {});
  }

  async lockSr(sr: SrUuid, options: LockOptions = {}): Promise<HeldLock> {
    if (this.#ownSr !== undefined && sr === this.#given.subject.srUuid) return borrowed(this.#ownSr.path);
    return this.#lockQuietSr(sr, options);
  }

  /** For what changes something of the SR without its lock: waits until no earlier command is late with it. */
  async awaitLateWriters(
    sr: SrUuid = this.#srOfRequest(),
    { wait = true, deadline = this.#given.deadline }: LockOptions = {},
  ): Promise<void> {
    const { awaitLateWriters, becomeLateWriter: become, lateWriter } = await import('./late-writers.ts');
    const { paths } = this.#given.profile;
    if (lateWriter(paths, sr) !== undefined) {
      if (wait) this.#given.waiting('what an earlier command on this SR may still write');
      await awaitLateWriters(paths, sr, { wait, deadline });
      if (wait) this.#given.waiting('the storage');
    }
    this.#touched.add(sr);
    this.#become = become;
  }

  /**
   * `work` reads of the SR, and what the call wrote before has landed. Where it is answered for meanwhile, or `work`
   * fails, others need not wait for it: it goes no further. So one block that nobody serves does not keep a whole SR.
   * Who reads one disk is not kept by those who are stuck.
   */
  async reading<T>(sr: SrUuid, work: () => Promise<T>, { whole = true }: ReadingOptions = {}): Promise<T> {
    const { becomeLateReader, refuseBesideLateReader } = await import('./late-writers.ts');
    if (whole) refuseBesideLateReader(this.#given.profile.paths, sr);
    const become = this.#become;
    this.#become = becomeLateReader;
    const result = await work().catch((error: unknown) => {
      if (hasCode(error, 'deadline')) this.#unread.add(sr);
      throw error;
    });
    if (this.#isLate) {
      throw new RbdsrError('deadline', { what: `SR ${sr} was read only after the answer had been given` });
    }
    this.#become = become;
    return result;
  }

  async lock(namespace: string, name: string, options: LockOptions = {}): Promise<HeldLock> {
    const { takeRecordLock } = await import('../../system/locks/record-lock.ts');
    const { lockDir, runDir } = this.#given.profile.paths;
    const path = `${lockDir}/${namespace}/${name}`;
    const { wait = true, deadline = this.#given.deadline } = options;
    if (wait) this.#given.waiting(`the lock ${path}`);
    const lock = await takeRecordLock(path, { wait, deadline, queue: `${runDir}/waiting/${namespace}-${name}` });
    if (wait) this.#given.waiting('the storage');
    this.#held.add(lock);
    if (!STOCK_SR_LOCKS.includes(name)) return lock;
    this.#stock.add(lock);
    if (this.#isLate) throw await this.#tooLateFor(lock);
    if (this.#stock.size === 1) process.once('exit', this.#endLate);
    return lock;
  }

  /**
   * What a handler has released already is released twice, which does nothing. Where a read has not come back, and yet
   * the call was well, its process is a late reader until it ends.
   */
  async releaseLocks(): Promise<void> {
    if (!this.#isLate) await this.#becomeReader();
    for (const lock of [...this.#held].reverse()) await lock.release();
    this.#held.clear();
    this.#stock.clear();
    process.off('exit', this.#endLate);
  }

  /**
   * The answer is given, and something may still be on its way: from here on a lock of our own says so to our own
   * commands, and stock's locks of the SR are free. Called again, it does nothing. Never fails: where our own lock
   * cannot be had, stock's stay.
   */
  async becomeLate(): Promise<void> {
    const become = this.#become;
    if (this.#isLate || become === undefined) return;
    this.#isLate = true;
    try {
      for (const sr of this.#touched) {
        this.#held.add(await become(this.#given.profile.paths, sr, this.#given.deadline));
      }
      this.#letStockGo();
    } catch (error) {
      this.#given.log.error(`the locks of the SR stay with this process: ${messageOf(error)}`);
    }
  }

  async #becomeReader(): Promise<void> {
    for (const sr of this.#unread) {
      const { becomeLateReader } = await import('./late-writers.ts');
      await becomeLateReader(this.#given.profile.paths, sr, this.#given.deadline).catch((error: unknown) =>
        this.#given.log.warn(`SR ${sr}: a read that does not come back is not told to others: ${messageOf(error)}`),
      );
    }
  }

  /**
   * This process ends by an error, and the kernel closes its files only when the last thread has come back. Before the
   * first wait of becomeLateWriter the lock is taken; one that is held already stays.
   */
  readonly #endLate = (): void => {
    const { paths } = this.#given.profile;
    for (const sr of this.#touched) this.#become?.(paths, sr, this.#given.deadline).catch(() => undefined);
    this.#letStockGo();
  };

  readonly #letStockGo = (): void => {
    for (const lock of this.#stock) void lock.release();
    this.#stock.clear();
  };

  /**
   * A late writer may come between the two: then its write is waited for without the lock, which HA may want meanwhile.
   */
  async #lockQuietSr(sr: SrUuid, options: LockOptions): Promise<HeldLock> {
    const { lateWriter } = await import('./late-writers.ts');
    for (;;) {
      await this.awaitLateWriters(sr, options);
      const lock = await this.lock(sr, 'sr', options);
      if (lateWriter(this.#given.profile.paths, sr) === undefined) return lock;
      await lock.release();
    }
  }

  #srOfRequest(): SrUuid {
    const { srUuid } = this.#given.subject;
    if (srUuid === undefined)
      throw new RbdsrError('internal', { what: 'a command that changes an SR, without sr_uuid' });
    return srUuid;
  }

  async #tooLateFor(lock: HeldLock): Promise<RbdsrError> {
    await lock.release();
    return new RbdsrError('deadline', { what: `the lock ${lock.path} was free only after the answer had been given` });
  }

  xapi(): Promise<Xapi> {
    this.#xapi ??= this.connect(this.#given.deadline);
    return this.#xapi;
  }

  /**
   * A connection for as long as `deadline` lets it, also after the request's session has ended. `patient`: client.ts.
   */
  async connect(deadline: Deadline, { patient = false }: ConnectOptions = {}): Promise<Xapi> {
    const { title, subtaskOf, profile } = this.#given;
    if (this.#session === undefined) {
      throw new RbdsrError('bad-request', {
        what: `${title} needs xapi, and the request has no session_ref`,
      });
    }
    const { LastingSession } = await import('../../xapi/lasting-session.ts');
    const task = subtaskOf === undefined ? {} : { subtaskOf };
    const address = { socketPath: profile.paths.xapiSocket, ...task, deadline, patient };
    const xapi = new LastingSession(address, this.#session);
    this.atEnd(() => xapi.end());
    return xapi;
  }

  atEnd(work: () => Promise<void>): void {
    this.#atEnd.push(work);
  }

  /** Never fails: the answer is known by then. */
  async close(): Promise<void> {
    for (const work of this.#atEnd.reverse()) {
      await work().catch((error: unknown) => this.#given.log.warn(`after the answer: ${messageOf(error)}`));
    }
  }
}

function borrowed(path: string): HeldLock {
  const release = async (): Promise<void> => {};
  return { path, release, [Symbol.asyncDispose]: release };
}
