import type { Socket } from 'node:net';
import type { BlockIo } from '../base/block-io.ts';
import { messageOf } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import { Handshake } from './nbd-handshake.ts';
import { errorNumber, refusalOf } from './nbd-errors.ts';
import type { ExportFacts } from './nbd-handshake.ts';
import { COMMAND, COMMAND_FLAG, MAX_PAYLOAD, SIMPLE_REPLY_MAGIC } from './nbd-protocol.ts';
import { RequestParser } from './nbd-request-parser.ts';
import type { NbdRequest } from './nbd-request-parser.ts';
import { PayloadPool } from './payload-pool.ts';

export interface ServedExport {
  readonly facts: ExportFacts;
  readonly io: BlockIo;
  readonly readOnly: boolean;
  readonly log: Log;
}

/**
 * One client: handshake, then any number of requests at a time, answered in the order in which they finish. What a client has in flight,
 * from the request's arrival until the kernel has taken the reply, is bounded; past that its socket is not read.
 */
export class NbdConnection {
  readonly #socket: Socket;
  readonly #export: ServedExport;
  readonly #handshake: Handshake;
  readonly #pool = new PayloadPool();
  readonly #parser = new RequestParser(
    (request) => this.#admit(request),
    (length) => this.#pool.take(length),
  );
  #phase: 'handshake' | 'transmission' | 'ending' = 'handshake';
  /** Requests that arrived in one chunk with more than may be in flight. */
  readonly #waiting: NbdRequest[] = [];
  #requests = 0;
  #bytes = 0;
  #corked = false;
  #whenIdle: (() => void) | undefined;

  constructor(socket: Socket, served: ServedExport) {
    this.#socket = socket;
    this.#export = served;
    this.#handshake = new Handshake(served.facts);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // What a client that vanishes leaves behind is no failure of ours: 'close' follows.
    socket.on('error', () => {});
    socket.write(this.#handshake.greeting());
  }

  /** Answers what has arrived, takes nothing more and hangs up. */
  async drain(): Promise<void> {
    this.#phase = 'ending';
    this.#socket.pause();
    if (this.#requests > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    await new Promise<void>((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.end(() => resolve());
      this.#socket.once('close', () => resolve());
    });
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#phase === 'transmission') this.#parse(chunk);
    else if (this.#phase === 'handshake') this.#shakeHands(chunk);
  }

  #shakeHands(chunk: Buffer): void {
    const { send, next, rest } = this.#handshake.accept(chunk);
    for (const bytes of send) this.#socket.write(bytes);
    if (next === 'close') this.#end();
    if (next !== 'transmission') return;
    this.#phase = 'transmission';
    if (rest.length > 0) this.#parse(rest);
  }

  #parse(chunk: Buffer): void {
    if (!this.#parser.push(chunk)) {
      this.#export.log.warn(
        `${this.#export.facts.name}: a client sent what is no NBD request; its connection is closed`,
      );
      this.#end();
    } else if (this.#full) {
      this.#socket.pause();
    }
  }

  /** Takes nothing more; what has arrived is answered first. */
  #end(): void {
    this.#phase = 'ending';
    this.#socket.pause();
    if (this.#requests === 0) this.#socket.end();
    else this.#whenIdle = () => this.#socket.end();
  }

  get #full(): boolean {
    return this.#requests >= MOST_REQUESTS || this.#bytes >= MOST_BYTES;
  }

  #admit(request: NbdRequest): void {
    if (this.#phase !== 'transmission') return;
    if (request.type === COMMAND.disconnect) this.#end();
    else if (this.#full || this.#waiting.length > 0) this.#waiting.push({ ...request });
    else this.#start(request);
  }

  #start(request: NbdRequest): void {
    const { type, flags, offset, length, payload, cookieHigh, cookieLow } = request;
    const held = type === COMMAND.read || type === COMMAND.write ? Math.min(length, MAX_PAYLOAD) : 0;
    this.#requests += 1;
    this.#bytes += held;
    const refusal = refusalOf(request, this.#export);
    if (refusal !== 0) {
      if (payload !== undefined) this.#pool.give(payload);
      this.#reply(refusal, cookieHigh, cookieLow, undefined, held);
      return;
    }
    const fua = (flags & COMMAND_FLAG.fua) !== 0;
    this.#perform(type, offset, length, payload, fua).then(
      (data) => {
        if (payload !== undefined) this.#pool.give(payload);
        this.#reply(0, cookieHigh, cookieLow, data, held);
      },
      (error: unknown) => {
        this.#export.log.error(
          `${this.#export.facts.name}: request ${type} at ${offset}, ${length} bytes: ${messageOf(error)}`,
        );
        this.#reply(errorNumber(error), cookieHigh, cookieLow, undefined, held);
      },
    );
  }

  #perform(
    type: number,
    offset: number,
    length: number,
    payload: Buffer | undefined,
    fua: boolean,
  ): Promise<Buffer | void> {
    const { io } = this.#export;
    if (type === COMMAND.read) return io.read(offset, length);
    if (type === COMMAND.flush) return this.#export.readOnly ? Promise.resolve() : io.flush();
    const done = payload === undefined ? this.#withoutPayload(type, offset, length) : io.write(offset, payload);
    return fua ? done.then(() => io.flush()) : done;
  }

  /** A trim is taken as a hint and not followed: a VHD block, once allocated, stays. */
  async #withoutPayload(type: number, offset: number, length: number): Promise<void> {
    if (type !== COMMAND.writeZeroes) return;
    for (let done = 0; done < length; done += ZEROES.length) {
      await this.#export.io.write(offset + done, ZEROES.subarray(0, Math.min(ZEROES.length, length - done)));
    }
  }

  /** Replies of one turn of the event loop leave in one writev. */
  #reply(error: number, cookieHigh: number, cookieLow: number, data: Buffer | void, held: number): void {
    const socket = this.#socket;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      setImmediate(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    const header = Buffer.allocUnsafe(16);
    header.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
    header.writeUInt32BE(error, 4);
    header.writeUInt32BE(cookieHigh, 8);
    header.writeUInt32BE(cookieLow, 12);
    const sent = (): void => this.#finish(held);
    if (data === undefined || data.length === 0) {
      socket.write(header, sent);
    } else {
      socket.write(header);
      socket.write(data, sent);
    }
  }

  #finish(held: number): void {
    this.#requests -= 1;
    this.#bytes -= held;
    while (!this.#full) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#start(next);
    }
    if (this.#requests === 0) this.#whenIdle?.();
    if (this.#phase === 'transmission' && this.#socket.isPaused() && !this.#full) this.#socket.resume();
  }
}

const MOST_REQUESTS = 256;
const MOST_BYTES = 32 * 1024 * 1024;
const ZEROES = Buffer.alloc(256 * 1024);
