import { connect, type Socket } from 'node:net';
import type { RbdsrError } from '../../base/error.ts';
import type { PeerAddress } from './connection.ts';
import { peerLost } from './peer-failure.ts';

/** One TCP connection, read in the portions that its reader asks for. Written at once (TCP_NODELAY). */
export class ByteStream {
  readonly #socket: Socket;
  readonly #peer: PeerAddress;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted: { readonly length: number; resolve(bytes: Buffer): void; reject(error: RbdsrError): void } | undefined;
  #failure: RbdsrError | undefined;
  #isConnected = false;
  #hasHeard = false;

  constructor(peer: PeerAddress) {
    this.#peer = peer;
    this.#socket = connect({ host: peer.host, port: peer.port, noDelay: true });
    this.#socket.on('connect', () => {
      this.#isConnected = true;
    });
    this.#socket.on('data', (chunk: Buffer) => this.#hear(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.fail(this.#lost(error.code ?? error.message)));
    this.#socket.on('close', () => this.fail(this.#lost('closed')));
  }

  /** Of a peer that has said nothing yet: whether it took the connection at least. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  get hasHeard(): boolean {
    return this.#hasHeard;
  }

  /** What has come and was not read, for a message about it. */
  get unread(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** One reader at a time. Rejects when the connection is lost before so much has come. */
  read(length: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#wanted = { length, resolve, reject };
      this.#serve();
    });
  }

  /** The same, and they stay unread. */
  async peek(length: number): Promise<Buffer> {
    const bytes = await this.read(length);
    this.#chunks.unshift(bytes);
    this.#buffered += length;
    return bytes;
  }

  write(bytes: Buffer): void {
    if (this.#failure === undefined) this.#socket.write(bytes);
  }

  /** The first reason counts. What had come before is still read. */
  fail(error: RbdsrError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#socket.destroy();
    this.#serve();
  }

  #hear(chunk: Buffer): void {
    this.#hasHeard = true;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered > (this.#wanted?.length ?? 0) + AHEAD_BYTES) this.#socket.pause();
    this.#serve();
  }

  #serve(): void {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    if (this.#buffered >= wanted.length) {
      this.#wanted = undefined;
      wanted.resolve(this.#take(wanted.length));
      if (this.#buffered <= AHEAD_BYTES) this.#socket.resume();
    } else if (this.#failure !== undefined) {
      this.#wanted = undefined;
      wanted.reject(this.#failure);
    } else {
      this.#socket.resume();
    }
  }

  #take(length: number): Buffer {
    const [first] = this.#chunks;
    const bytes = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#buffered -= length;
    this.#chunks = this.#buffered === 0 ? [] : [bytes.subarray(length)];
    return bytes.subarray(0, length);
  }

  #lost(reason: string): RbdsrError {
    return peerLost(this.#peer, this.#isConnected ? (this.#hasHeard ? 'lost' : 'silent') : 'unreachable', reason);
  }
}

/** What may lie unread before the peer is made to wait. */
const AHEAD_BYTES = 1024 * 1024;
