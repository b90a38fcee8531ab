import type { Deadline } from '../../base/deadline.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { HeldLock } from '../../system/locks/record-lock.ts';
import type { Xapi } from '../../xapi/client.ts';
import type { HostProfile } from '../../dom0/host-profile.ts';
import type { HostSettings } from '../../dom0/host-settings.ts';
import type { Subject } from './subject.ts';

/**
 * What is done with an SR, for whomever: an SM command, a function of our plug-in, the operator's command. Nothing here
 * costs anything until it is used (open-work.ts).
 */
export interface SrWork {
  readonly subject: Subject;
  readonly profile: HostProfile;
  readonly settings: HostSettings;
  /** Ends a little before whoever waits gives up, so that our own error is the one it sees. */
  readonly deadline: Deadline;
  readonly log: Log;
  /**
   * Says what is waited for from now on ("mapping rbd image pool/img via monitors 10.0.0.1:6789"): the answer of
   * whoever waits, should the kernel not let this process go before the deadline.
   */
  waiting(what: string): void;
  /** The connection to the local xapi; opened by the first call to it and closed by whoever opened the work. */
  xapi(): Promise<Xapi>;
  /** Another one, with a deadline of its own (work-until.ts). */
  connect(deadline: Deadline, options?: { readonly patient?: boolean }): Promise<Xapi>;
  /**
   * `work` is done when the answer is known, the last one first, and its failure only logged: a connection is closed
   * so.
   */
  atEnd(work: () => Promise<void>): void;
  /** `work` reads of the SR and changes nothing: a call that is late in it holds up no other (open-work.ts). */
  reading<T>(sr: SrUuid, work: () => Promise<T>, options?: ReadingOptions): Promise<T>;
  /**
   * Before what changes something of an SR without its lock: waits until no earlier command is late with it, and makes
   * this one late itself if it is. Without `wait` it is 'lock-busy' at once.
   */
  awaitLateWriters(sr: SrUuid, options?: LockOptions): Promise<void>;
  /**
   * Takes `/var/lock/sm/<sr>/sr`, unless the whole work holds it already: then the result is a lock whose release does
   * nothing.
   */
  lockSr(sr: SrUuid, options?: LockOptions): Promise<HeldLock>;
  /** Takes `/var/lock/sm/<vdi>/vdi`, which vdi_activate, vdi_deactivate and pause hold. */
  lockVdi(vdi: VdiUuid, options?: LockOptions): Promise<HeldLock>;
  /** Any other lock of the stock layout: `/var/lock/sm/<namespace>/<name>`. */
  lock(namespace: string, name: string, options?: LockOptions): Promise<HeldLock>;
}

export interface LockOptions {
  /** True unless said otherwise. */
  readonly wait?: boolean;
  /** The work's own unless said otherwise. */
  readonly deadline?: Deadline;
}

export interface ReadingOptions {
  /** The SR as a whole, which is true unless said otherwise, and not the disk that the work is about. */
  readonly whole?: boolean;
}
