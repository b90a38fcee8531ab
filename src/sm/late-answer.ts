import { Deadline } from '../base/deadline.ts';
import { nowMs } from '../base/now.ts';
import { RbdsrError } from '../base/error.ts';
import type { CallDirectory } from '../system/call-directory.ts';

/**
 * What the launcher answers if the deadline passes first. A process that waits for the kernel cannot speak any more, so
 * the answer is written before the wait. It holds the seconds waited all the same: the launcher gives it at one known
 * moment. What becomes of the locks then: answer-in-time.ts, sr/work/work-resources.ts.
 */
export class LateAnswer {
  readonly #directory: CallDirectory | undefined;
  readonly #document: (error: RbdsrError) => string;
  readonly #command: string;
  readonly #seconds: number;

  /** `document` is how an error is answered; `seconds` are from the start of this process to the launcher's answer. */
  constructor(
    directory: CallDirectory | undefined,
    document: (error: RbdsrError) => string,
    command: string,
    seconds: number,
  ) {
    this.#directory = directory;
    this.#document = document;
    this.#command = command;
    this.#seconds = seconds;
    directory?.setDeadline(seconds);
    this.waitingFor('the storage');
  }

  /** `what` completes the sentence "waited N s for ...". */
  waitingFor(what: string): void {
    if (this.#directory === undefined) return;
    const waited = Math.max(0, Math.round(this.#seconds - nowMs() / 1000));
    const error = new RbdsrError('deadline', {
      what: `${this.#command} waited ${waited} s for ${what}`,
      found: `no answer by the deadline of ${this.#seconds} s`,
      todo: `Its process ${process.pid} stays until the kernel lets it go; until then nothing else is done to this SR on this host.`,
    });
    this.#directory.waitingFor(this.#document(error));
  }
}

/** Our own errors say more than the launcher's, so ours come a little earlier: a tenth, at most 5 s. */
export function ownDeadline(seconds: number): Deadline {
  const ms = 1000 * (seconds - Math.min(5, seconds / 10));
  return Deadline.after(Math.max(0, ms - nowMs()));
}
