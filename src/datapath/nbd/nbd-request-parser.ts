import { alignedBuffer } from '../../system/io/aligned-buffer.ts';
import { COMMAND, MAX_PAYLOAD, REQUEST_MAGIC } from './nbd-protocol.ts';

/** One request of a client; the same object is used for the next, so take what you keep. */
export interface NbdRequest {
  type: number;
  flags: number;
  /** The client's 8 bytes, to be sent back as they came. */
  cookieHigh: number;
  cookieLow: number;
  /** Bytes; Infinity where it is past what a number holds exactly. */
  offset: number;
  length: number;
  /** Of a write: page-aligned, `length` bytes, the receiver's own. */
  payload: Buffer | undefined;
}

/**
 * Takes the requests out of what a socket delivers (doc/proto.md, "Request message"). A header is read where it lies in
 * the chunk; a write's payload is copied once, into the memory from which the device takes it.
 */
export class RequestParser {
  readonly #take: (request: NbdRequest) => void;
  readonly #allocate: (length: number) => Buffer;
  readonly #request: NbdRequest = {
    type: 0,
    flags: 0,
    cookieHigh: 0,
    cookieLow: 0,
    offset: 0,
    length: 0,
    payload: undefined,
  };
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;

  constructor(take: (request: NbdRequest) => void, allocate: (length: number) => Buffer = alignedBuffer) {
    this.#take = take;
    this.#allocate = allocate;
  }

  /** False once the stream makes no sense: there is no way to find the next request, so the connection has to end. */
  push(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload !== undefined) {
        at = this.#fillPayload(this.#payload, chunk, at);
      } else if (this.#headerBytes === 0 && chunk.length - at >= HEADER) {
        if (!this.#begin(chunk, at)) return false;
        at += HEADER;
      } else {
        const taken = chunk.copy(this.#header, this.#headerBytes, at, at + HEADER - this.#headerBytes);
        this.#headerBytes += taken;
        at += taken;
        if (this.#headerBytes < HEADER) return true;
        this.#headerBytes = 0;
        if (!this.#begin(this.#header, 0)) return false;
      }
    }
    return true;
  }

  /** Header: magic 4, flags 2, type 2, cookie 8, offset 8, length 4. */
  #begin(bytes: Buffer, at: number): boolean {
    if (bytes.readUInt32BE(at) !== REQUEST_MAGIC) return false;
    const request = this.#request;
    request.flags = bytes.readUInt16BE(at + 4);
    request.type = bytes.readUInt16BE(at + 6);
    request.cookieHigh = bytes.readUInt32BE(at + 8);
    request.cookieLow = bytes.readUInt32BE(at + 12);
    const high = bytes.readUInt32BE(at + 16);
    request.offset = high < 2 ** 21 ? high * 2 ** 32 + bytes.readUInt32BE(at + 20) : Infinity;
    request.length = bytes.readUInt32BE(at + 24);
    request.payload = undefined;
    if (request.type !== COMMAND.write || request.length === 0) {
      this.#take(request);
      return true;
    }
    if (request.length > MAX_PAYLOAD) return false;
    this.#payload = this.#allocate(request.length);
    this.#payloadBytes = 0;
    return true;
  }

  #fillPayload(payload: Buffer, chunk: Buffer, at: number): number {
    const taken = chunk.copy(payload, this.#payloadBytes, at, at + payload.length - this.#payloadBytes);
    this.#payloadBytes += taken;
    if (this.#payloadBytes === payload.length) {
      this.#payload = undefined;
      this.#request.payload = payload;
      this.#take(this.#request);
    }
    return at + taken;
  }
}

const HEADER = 28;
