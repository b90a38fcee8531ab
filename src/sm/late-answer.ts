import { RbdsrError } from '../base/error.ts';
import type { CallDirectory } from '../system/call-directory.ts';
import { type FaultContext, faultDocument, faultOf } from './fault.ts';

/**
 * What the launcher answers if the deadline passes first. A process that waits for the kernel cannot speak any more, so the answer is
 * written before the wait. It holds the seconds waited all the same: the launcher gives it at one known moment.
 */
export class LateAnswer {
  readonly #directory: CallDirectory | undefined;
  readonly #context: FaultContext;
  readonly #command: string;
  readonly #seconds: number;

  /** @param seconds from the start of this process to the launcher's answer. */
  constructor(directory: CallDirectory | undefined, context: FaultContext, command: string, seconds: number) {
    this.#directory = directory;
    this.#context = context;
    this.#command = command;
    this.#seconds = seconds;
    directory?.setDeadline(seconds);
    this.waitingFor('the storage');
  }

  /** `what` completes the sentence "waited N s for ...". */
  waitingFor(what: string): void {
    if (this.#directory === undefined) return;
    const waited = Math.max(0, Math.round(this.#seconds - performance.now() / 1000));
    const error = new RbdsrError('deadline', {
      what: `${this.#command} waited ${waited} s for ${what}`,
      found: `no answer by the deadline of ${this.#seconds} s`,
      todo: `Its process ${process.pid} stays until the kernel lets it go, and holds the locks it has until then.`,
    });
    this.#directory.waitingFor(faultDocument(faultOf(error, this.#context)));
  }
}
