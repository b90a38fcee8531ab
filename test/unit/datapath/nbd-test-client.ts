import type { Socket } from 'node:net';
import { Deadline } from '../../../src/base/deadline.ts';
import { negotiate } from '../../../src/datapath/nbd/nbd-handshake-client.ts';

export interface Question {
  readonly type: number;
  readonly flags?: number;
  readonly offset?: number;
  readonly length?: number;
  readonly payload?: Buffer;
}

export interface Answer {
  readonly error: number;
  readonly data: Buffer;
}

/** Speaks the transmission phase, by its own reading of doc/proto.md. */
export class NbdTestClient {
  readonly socket: Socket;
  readonly flags: number;
  readonly #waiting = new Map<bigint, { length: number; resolve: (answer: Answer) => void }>();
  #next = 0x0102030405060708n;
  #pending = Buffer.alloc(0);

  static async connect(socketPath: string, name: string): Promise<NbdTestClient> {
    const { socket, flags } = await negotiate(socketPath, name, Deadline.after(5000));
    const client = new NbdTestClient(socket, flags);
    // Node lets a socket flow one turn after its last 'readable' listener went, paused or not.
    await new Promise((resolve) => setImmediate(resolve));
    return client;
  }

  private constructor(socket: Socket, flags: number) {
    this.socket = socket;
    this.flags = flags;
    socket.removeAllListeners('readable');
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.resume();
  }

  ask(question: Question): Promise<Answer> {
    const cookie = this.#next;
    const length = question.type === 0 ? (question.length ?? 0) : 0;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(cookie, { length, resolve }));
    this.send(question);
    return answer;
  }

  send(question: Question): void {
    this.socket.write(this.encode(question));
  }

  encode({ type, flags = 0, offset = 0, length, payload }: Question): Buffer {
    const header = Buffer.alloc(28);
    header.writeUInt32BE(0x25609513, 0);
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(this.#next, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(payload?.length ?? length ?? 0, 24);
    this.#next += 1n;
    return payload === undefined ? header : Buffer.concat([header, payload]);
  }

  #receive(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 16) {
      if (this.#pending.readUInt32BE(0) !== 0x67446698) throw new Error('no reply magic');
      const error = this.#pending.readUInt32BE(4);
      const asked = this.#waiting.get(this.#pending.readBigUInt64BE(8));
      const length = error === 0 ? (asked?.length ?? 0) : 0;
      if (this.#pending.length < 16 + length) return;
      this.#waiting.delete(this.#pending.readBigUInt64BE(8));
      asked?.resolve({ error, data: Buffer.from(this.#pending.subarray(16, 16 + length)) });
      this.#pending = this.#pending.subarray(16 + length);
    }
  }
}
