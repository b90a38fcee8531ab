import type { Socket } from 'node:net';
import type { BlockIo } from '../../base/block-io.ts';
import { messageOf } from '../../base/error.ts';
import type { Log } from '../../base/log.ts';
import { Handshake } from './nbd-handshake.ts';
import { errorNumber, refusalOf } from './nbd-errors.ts';
import type { ExportFacts } from './nbd-handshake.ts';
import { performRequest } from './nbd-perform.ts';
import { COMMAND, MAX_PAYLOAD, SIMPLE_REPLY_MAGIC } from './nbd-protocol.ts';
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
 * One client: handshake, then any number of requests at a time, answered in the order in which they finish. What a
 * client has in flight, from the request's arrival until the kernel has taken the reply, is bounded; past that its
 * socket is not read.
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
  /** Requests and bytes that the client has not taken its replies of. */
  #requests = 0;
  #bytes = 0;
  /** Requests that the disk works on. */
  #performing = 0;
  #corked = false;
  #stopping = false;
  #whenPerformed: (() => void) | undefined;
  #gone: Promise<void> | undefined;

  constructor(socket: Socket, served: ServedExport) {
    this.#socket = socket;
    this.#export = served;
    this.#handshake = new Handshake(served.facts);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // What a client that vanishes leaves behind is no failure of ours: 'close' follows.
    socket.on('error', () => {});
    socket.once('close', () => (this.#stopping = true));
    socket.write(this.#handshake.greeting());
  }

  /**
   * Takes nothing more, and resolves when the disk has answered what it works on. Requests that it was not given yet
   * stay unanswered: they wait for the client to take earlier replies, and it may never do that.
   */
  async quiesce(): Promise<void> {
    this.#stopping = true;
    this.#waiting.length = 0;
    this.#takeNoMore();
    if (this.#performing > 0) await new Promise<void>((resolve) => (this.#whenPerformed = resolve));
  }

  /** Sends what is answered, as far as the client takes it soon, and closes the connection. */
  hangUp(): Promise<void> {
    this.#takeNoMore();
    this.#gone ??= new Promise((resolve) => {
      if (this.#socket.closed) return resolve();
      const patience = setTimeout(() => this.#socket.destroy(), PATIENCE_MS);
      this.#socket.once('close', () => {
        clearTimeout(patience);
        resolve();
      });
      // Ended alone, a socket with something left to read would stay.
      this.#socket.end(() => this.#socket.destroy());
    });
    return this.#gone;
  }

  #takeNoMore(): void {
    this.#phase = 'ending';
    this.#socket.pause();
  }

  #receive(chunk: Buffer): void {
    if (this.#phase === 'transmission') this.#parse(chunk);
    else if (this.#phase === 'handshake') this.#shakeHands(chunk);
  }

  /** A client that asks on without reading the answers is not read either. */
  #shakeHands(chunk: Buffer): void {
    const { send, next, rest } = this.#handshake.accept(chunk);
    for (const bytes of send) this.#socket.write(bytes);
    if (next === 'close') {
      this.#end();
    } else if (next === 'transmission') {
      this.#phase = 'transmission';
      if (rest.length > 0) this.#parse(rest);
    } else if (this.#socket.writableNeedDrain) {
      this.#socket.pause();
      this.#socket.once('drain', () => this.#phase === 'handshake' && this.#socket.resume());
    }
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

  /** The client's own wish, or its fault: what has arrived is answered first, unless it lets its replies lie. */
  #end(): void {
    this.#takeNoMore();
    this.#endWhenPerformed();
    const look = (taken: number): void => {
      if (this.#socket.closed || this.#gone !== undefined) return;
      if (this.#performing === 0 && taken === this.#requests) void this.hangUp();
      else setTimeout(look, PATIENCE_MS, this.#requests).unref();
    };
    setTimeout(look, PATIENCE_MS, this.#requests).unref();
  }

  #endWhenPerformed(): void {
    const over = this.#phase === 'ending' && !this.#stopping;
    if (over && this.#performing === 0 && this.#waiting.length === 0) void this.hangUp();
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
    const { type, offset, length, payload, cookieHigh, cookieLow } = request;
    const held = type === COMMAND.read || type === COMMAND.write ? Math.min(length, MAX_PAYLOAD) : 0;
    this.#requests += 1;
    this.#bytes += held;
    const refusal = refusalOf(request, this.#export);
    if (refusal !== 0) {
      if (payload !== undefined) this.#pool.give(payload);
      this.#reply(refusal, cookieHigh, cookieLow, undefined, held);
      return;
    }
    this.#performing += 1;
    performRequest(this.#export, request, () => this.#stopping)
      .then(
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
      )
      .finally(() => this.#performed());
  }

  #performed(): void {
    this.#performing -= 1;
    if (this.#performing === 0) this.#whenPerformed?.();
    this.#endWhenPerformed();
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
    this.#endWhenPerformed();
    if (this.#phase === 'transmission' && this.#socket.isPaused() && !this.#full) this.#socket.resume();
  }
}

const MOST_REQUESTS = 256;
const MOST_BYTES = 32 * 1024 * 1024;
/** For a client to take what it was sent. */
const PATIENCE_MS = 2000;
