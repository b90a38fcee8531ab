import type { Deadline } from '../base/deadline.ts';
import type { SrUuid, VdiUuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { HeldLock } from '../system/locks/record-lock.ts';
import type { Xapi } from '../xapi/client.ts';
import type { HostProfile } from './host-profile.ts';
import type { HostSettings } from './host-settings.ts';
import type { Reply } from './reply.ts';
import type { SmRequest } from './request.ts';
import type { SrType } from './sr-type.ts';

/** One SM command. It answers with a reply or throws an RbdsrError, which the frame turns into a fault. */
export type Handler = (call: SmCall) => Promise<Reply>;

export interface ReadingOptions {
  /** The SR as a whole, which is true unless said otherwise, and not the disk that the call is about. */
  readonly whole?: boolean;
}

/** Everything a handler gets; made by `run-command.ts`. Nothing here costs anything until it is used. */
export interface SmCall {
  readonly request: SmRequest;
  readonly srType: SrType;
  readonly profile: HostProfile;
  readonly settings: HostSettings;
  /** Ends a little before the launcher gives up, so that our own error is the one the caller sees. */
  readonly deadline: Deadline;
  readonly log: Log;
  /**
   * Says what the command waits for from now on ("mapping rbd image pool/img via monitors 10.0.0.1:6789"): the launcher's answer, should
   * the kernel not let this process go before the deadline.
   */
  waiting(what: string): void;
  /** The connection to the local xapi with the request's session; opened by the first call to it and closed by the frame. */
  xapi(): Promise<Xapi>;
  /** Another one, with a deadline of its own (call-until.ts). */
  connect(deadline: Deadline, options?: { readonly patient?: boolean }): Promise<Xapi>;
  /** `work` is done when the answer is known, the last one first, and its failure only logged: a connection is closed so. */
  atEnd(work: () => Promise<void>): void;
  /** `work` reads of the SR and changes nothing: a call that is late in it holds up no other (call-resources.ts). */
  reading<T>(sr: SrUuid, work: () => Promise<T>, options?: ReadingOptions): Promise<T>;
  /**
   * Before what changes something of an SR without its lock: waits until no earlier command is late with it, and makes this call one if it is late itself.
   * Without `wait` it is 'lock-busy' at once.
   */
  awaitLateWriters(sr: SrUuid, options?: { readonly wait?: boolean; readonly deadline?: Deadline }): Promise<void>;
  /**
   * Takes `/var/lock/sm/<sr>/sr`, unless this command is exclusive and holds it already: then the result is a lock whose release does
   * nothing.
   */
  lockSr(sr: SrUuid, options?: { readonly wait?: boolean; readonly deadline?: Deadline }): Promise<HeldLock>;
  /** Takes `/var/lock/sm/<vdi>/vdi`, which vdi_activate, vdi_deactivate and pause hold. */
  lockVdi(vdi: VdiUuid, options?: { readonly wait?: boolean; readonly deadline?: Deadline }): Promise<HeldLock>;
  /** Any other lock of the stock layout: `/var/lock/sm/<namespace>/<name>`. */
  lock(
    namespace: string,
    name: string,
    options?: { readonly wait?: boolean; readonly deadline?: Deadline },
  ): Promise<HeldLock>;
}
