import {
  CLIENT_FLAG,
  HANDSHAKE_FLAG,
  INFO,
  MAX_PAYLOAD,
  NBD_MAGIC,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
} from './nbd-protocol.ts';

/** What the handshake tells a client about the one export. */
export interface ExportFacts {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** TRANSMISSION_FLAG bits. */
  readonly flags: number;
}

/** What to send, and where that leaves the connection; `rest` is what came after the handshake. */
export interface HandshakeStep {
  readonly send: readonly Buffer[];
  readonly next: 'more' | 'transmission' | 'close';
  readonly rest: Buffer;
}

/**
 * The server's side of the fixed newstyle handshake (doc/proto.md, "Newstyle negotiation"), without any input or output
 * of its own.
 */
export class Handshake {
  readonly #facts: ExportFacts;
  #pending: Buffer = Buffer.alloc(0);
  #clientFlags: number | undefined;

  constructor(facts: ExportFacts) {
    this.#facts = facts;
  }

  greeting(): Buffer {
    const bytes = Buffer.alloc(18);
    bytes.writeBigUInt64BE(NBD_MAGIC, 0);
    bytes.writeBigUInt64BE(OPTION_MAGIC, 8);
    bytes.writeUInt16BE(HANDSHAKE_FLAG.fixedNewstyle | HANDSHAKE_FLAG.noZeroes, 16);
    return bytes;
  }

  accept(chunk: Buffer): HandshakeStep {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const send: Buffer[] = [];
    if (this.#clientFlags === undefined) {
      if (this.#pending.length < 4) return this.#step(send, 'more');
      this.#clientFlags = this.#take(4).readUInt32BE(0);
      const known = CLIENT_FLAG.fixedNewstyle | CLIENT_FLAG.noZeroes;
      if ((this.#clientFlags & ~known) !== 0) return this.#step(send, 'close');
    }
    for (;;) {
      if (this.#pending.length < OPTION_HEADER) return this.#step(send, 'more');
      const length = this.#pending.readUInt32BE(12);
      if (this.#pending.readBigUInt64BE(0) !== OPTION_MAGIC || length > LONGEST_OPTION)
        return this.#step(send, 'close');
      if (this.#pending.length < OPTION_HEADER + length) return this.#step(send, 'more');
      const option = this.#take(OPTION_HEADER).readUInt32BE(8);
      const next = this.#answer(option, this.#take(length), send);
      if (next !== 'more') return this.#step(send, next);
    }
  }

  #answer(option: number, data: Buffer, send: Buffer[]): HandshakeStep['next'] {
    switch (option) {
      case OPTION.exportName:
        if (!this.#isOurs(data.toString('utf8'))) return 'close';
        send.push(this.#exportNameAnswer());
        return 'transmission';
      case OPTION.abort:
        send.push(optionReply(option, OPTION_REPLY.ack));
        return 'close';
      case OPTION.list:
        if (data.length > 0) send.push(optionReply(option, OPTION_REPLY.invalid));
        else
          send.push(
            optionReply(option, OPTION_REPLY.server, listed(this.#facts.name)),
            optionReply(option, OPTION_REPLY.ack),
          );
        return 'more';
      case OPTION.info:
      case OPTION.go:
        return this.#describe(option, data, send);
      default:
        send.push(optionReply(option, OPTION_REPLY.unsupported));
        return 'more';
    }
  }

  #describe(option: number, data: Buffer, send: Buffer[]): HandshakeStep['next'] {
    const wanted = wantedName(data);
    if (wanted === undefined || !this.#isOurs(wanted)) {
      send.push(optionReply(option, wanted === undefined ? OPTION_REPLY.invalid : OPTION_REPLY.unknown));
      return 'more';
    }
    send.push(optionReply(option, OPTION_REPLY.info, this.#exportInfo()));
    send.push(optionReply(option, OPTION_REPLY.info, blockSizeInfo()));
    send.push(optionReply(option, OPTION_REPLY.ack));
    return option === OPTION.go ? 'transmission' : 'more';
  }

  /** No name means the default export, which is the only one: the address that xapi of 8.2 is given has none. */
  #isOurs(name: string): boolean {
    return name === '' || name === this.#facts.name;
  }

  #exportInfo(): Buffer {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16BE(INFO.export, 0);
    bytes.writeBigUInt64BE(BigInt(this.#facts.size), 2);
    bytes.writeUInt16BE(this.#facts.flags, 10);
    return bytes;
  }

  #exportNameAnswer(): Buffer {
    const bytes = Buffer.alloc(((this.#clientFlags ?? 0) & CLIENT_FLAG.noZeroes) === 0 ? 134 : 10);
    bytes.writeBigUInt64BE(BigInt(this.#facts.size), 0);
    bytes.writeUInt16BE(this.#facts.flags, 8);
    return bytes;
  }

  #take(length: number): Buffer {
    const taken = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return taken;
  }

  #step(send: readonly Buffer[], next: HandshakeStep['next']): HandshakeStep {
    return { send, next, rest: this.#pending };
  }
}

const OPTION_HEADER = 16;
/** A name of 4096 bytes, the longest the protocol allows, and some information requests. */
const LONGEST_OPTION = 8192;

function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

function listed(name: string): Buffer {
  const text = Buffer.from(name, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length, 0);
  return Buffer.concat([length, text]);
}

/** Smallest, preferred and largest request, bytes. */
function blockSizeInfo(): Buffer {
  const bytes = Buffer.alloc(14);
  bytes.writeUInt16BE(INFO.blockSize, 0);
  bytes.writeUInt32BE(1, 2);
  bytes.writeUInt32BE(4096, 6);
  bytes.writeUInt32BE(MAX_PAYLOAD, 10);
  return bytes;
}

/** The export's name in the data of INFO and GO; undefined where the data is malformed. */
function wantedName(data: Buffer): string | undefined {
  if (data.length < 6) return undefined;
  const length = data.readUInt32BE(0);
  if (length > data.length - 6) return undefined;
  const requests = data.readUInt16BE(4 + length);
  if (data.length !== 6 + length + 2 * requests) return undefined;
  return data.toString('utf8', 4, 4 + length);
}
