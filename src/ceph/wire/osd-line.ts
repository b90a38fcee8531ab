import { RbdsrError } from '../../base/error.ts';
import { Authorizer, type Ticket } from './cephx-authorizer.ts';
import type { Connection, WireMessage, Messenger, Patience, PeerAddress } from './connection.ts';
import { MESSAGE } from './mon-messages.ts';
import { backoff, notificationOf, type Notified, type OperationReply, operationReply } from './osd-messages.ts';
import { PendingAnswers } from './pending-answers.ts';

/** One connection to one OSD; operations of any number are in flight on it at once. */
export class OsdLine {
  readonly #pending = new PendingAnswers<OperationReply>();
  /** How each operation that has no answer yet is sent again. */
  readonly #again = new Map<number, () => WireMessage>();
  readonly #notified = new PendingAnswers<Notified>();
  #connection: Connection | undefined;

  static async open(
    messenger: Messenger,
    peer: PeerAddress,
    { globalId, ticket }: { readonly globalId: bigint; readonly ticket: Ticket },
    within: Patience,
  ): Promise<OsdLine> {
    const line = new OsdLine();
    const receiver = {
      message: (message: WireMessage) => line.#receive(message),
      closed: (error: RbdsrError) => line.#fail(error),
    };
    line.#connection = await messenger.toOsd(peer, new Authorizer(globalId, ticket), receiver, within);
    return line;
  }

  get isLost(): boolean {
    return this.#pending.isFailed;
  }

  /** `encode` is called for each time it is sent: the second and later ones say so. */
  operate(tid: number, encode: () => WireMessage): Promise<OperationReply> {
    const answer = this.#pending.addNamed(tid);
    this.#again.set(tid, encode);
    this.#connection?.send(encode());
    return answer;
  }

  forget(tid: number): void {
    this.#pending.forget(tid);
    this.#again.delete(tid);
  }

  /** What those who watch an object say to the notification with this cookie. Asked for before it is sent. */
  notification(cookie: number): Promise<Notified> {
    return this.#notified.addNamed(cookie);
  }

  close(): void {
    this.#connection?.close();
  }

  /** Closes it; whoever waits for an answer on it asks again elsewhere. */
  leave(): void {
    this.close();
    this.#fail(new RbdsrError('monitor-unreachable', { what: 'the OSD has another address by now' }));
  }

  #receive(message: WireMessage): void {
    try {
      if (message.type === MESSAGE.osdReply) this.#answered(message);
      else if (message.type === MESSAGE.backoff) this.#backedOff(message);
      else if (message.type === MESSAGE.watchNotify) {
        const notified = notificationOf(message);
        this.#notified.settle(notified.cookie, notified);
      }
    } catch (error) {
      // Nothing that comes after what is not understood can be trusted.
      this.close();
      this.#fail(error as RbdsrError);
    }
  }

  #answered(message: WireMessage): void {
    this.#again.delete(message.tid);
    this.#pending.settle(message.tid, operationReply(message));
  }

  /** What is dropped while it is blocked is sent again when it is not. */
  #backedOff(message: WireMessage): void {
    const { isBlock, acknowledgement } = backoff(message);
    if (isBlock) this.#connection?.send(acknowledgement);
    else for (const encode of this.#again.values()) this.#connection?.send(encode());
  }

  #fail(error: RbdsrError): void {
    this.#again.clear();
    this.#pending.fail(error);
    this.#notified.fail(error);
  }
}
