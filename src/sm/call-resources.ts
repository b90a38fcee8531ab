import type { Deadline } from '../base/deadline.ts';
import { messageOf, RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { HeldLock } from '../system/record-lock.ts';
import type { Xapi } from '../xapi/client.ts';
import type { HostProfile } from './host-profile.ts';
import type { SmRequest } from './request.ts';

export interface LockOptions {
  /** True unless said otherwise. */
  readonly wait?: boolean;
  /** The call's own unless said otherwise. */
  readonly deadline?: Deadline;
}

interface Call {
  readonly request: SmRequest;
  readonly profile: HostProfile;
  readonly deadline: Deadline;
  readonly log: Log;
  waiting(what: string): void;
}

/** The locks and the connection of one call. Their code is loaded by their first use: most commands lack one or the other. */
export class CallResources {
  readonly #call: Call;
  readonly #held = new Set<HeldLock>();
  #ownSr: HeldLock | undefined;
  #xapi: Promise<Xapi> | undefined;
  readonly #atEnd: (() => Promise<void>)[] = [];

  constructor(call: Call) {
    this.#call = call;
  }

  /** The SR's lock for the whole command. */
  async lockOwnSr(): Promise<void> {
    const { srUuid } = this.#call.request;
    if (srUuid === undefined) throw new RbdsrError('internal', { what: 'an exclusive command without sr_uuid' });
    this.#ownSr = await this.lock(srUuid, 'sr');
  }

  async lockSr(sr: SrUuid, options?: LockOptions): Promise<HeldLock> {
    if (this.#ownSr !== undefined && sr === this.#call.request.srUuid) return borrowed(this.#ownSr.path);
    return this.lock(sr, 'sr', options);
  }

  async lock(namespace: string, name: string, options: LockOptions = {}): Promise<HeldLock> {
    const { takeRecordLock } = await import('../system/record-lock.ts');
    const path = `${this.#call.profile.paths.lockDir}/${namespace}/${name}`;
    const { wait = true, deadline = this.#call.deadline } = options;
    if (wait) this.#call.waiting(`the lock ${path}`);
    const lock = await takeRecordLock(path, { wait, deadline });
    if (wait) this.#call.waiting('the storage');
    this.#held.add(lock);
    return lock;
  }

  /** What a handler has released already is released twice, which does nothing. */
  async releaseLocks(): Promise<void> {
    for (const lock of [...this.#held].reverse()) await lock.release();
    this.#held.clear();
  }

  xapi(): Promise<Xapi> {
    this.#xapi ??= connectForCall(this.#call);
    return this.#xapi;
  }

  atEnd(work: () => Promise<void>): void {
    this.#atEnd.push(work);
  }

  /** Never fails: the answer is known by then. */
  async close(): Promise<void> {
    for (const work of this.#atEnd.reverse()) {
      await work().catch((error: unknown) => this.#call.log.warn(`after the answer: ${messageOf(error)}`));
    }
    const xapi = await this.#xapi?.catch(() => undefined);
    xapi?.close();
  }
}

function borrowed(path: string): HeldLock {
  const release = async (): Promise<void> => {};
  return { path, release, [Symbol.asyncDispose]: release };
}

/** A connection with the request's session, for as long as `deadline` lets it. */
export async function connectForCall({
  request,
  profile,
  deadline,
}: Pick<Call, 'request' | 'profile' | 'deadline'>): Promise<Xapi> {
  if (request.session === undefined) {
    throw new RbdsrError('bad-request', {
      what: `${request.command} needs xapi, and the request has no session_ref`,
    });
  }
  const { connectXapi } = await import('../xapi/client.ts');
  return connectXapi({
    socketPath: profile.paths.xapiSocket,
    session: request.session,
    ...(request.subtaskOf === undefined ? {} : { subtaskOf: request.subtaskOf }),
    deadline,
  });
}
