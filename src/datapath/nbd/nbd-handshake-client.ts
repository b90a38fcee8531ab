import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import {
  CLIENT_FLAG,
  INFO,
  NBD_MAGIC,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
} from './nbd-protocol.ts';

export interface NegotiatedExport {
  /** Ready for the first request, with nothing left to read. */
  readonly socket: Socket;
  /** Bytes. */
  readonly size: number;
  /** TRANSMISSION_FLAG bits. */
  readonly flags: number;
}

/** The client's side of the fixed newstyle handshake, for the kernel, which knows only what comes after it. */
export async function negotiate(socketPath: string, name: string, deadline: Deadline): Promise<NegotiatedExport> {
  const socket = connect(socketPath);
  try {
    const facts = await deadline.race(converse(socket, name), `the NBD server on ${socketPath}`);
    return { socket, ...facts };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function converse(socket: Socket, name: string): Promise<{ size: number; flags: number }> {
  await once(socket, 'connect');
  const greeting = await readExactly(socket, 18);
  if (greeting.readBigUInt64BE(0) !== NBD_MAGIC || greeting.readBigUInt64BE(8) !== OPTION_MAGIC) throw noServer();
  socket.write(goRequest(name));
  let facts: { size: number; flags: number } | undefined;
  for (;;) {
    const head = await readExactly(socket, 20);
    if (head.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC) throw noServer();
    const type = head.readUInt32BE(12);
    const length = head.readUInt32BE(16);
    const data = length === 0 ? Buffer.alloc(0) : await readExactly(socket, length);
    if (type === OPTION_REPLY.info && data.length >= 12 && data.readUInt16BE(0) === INFO.export) {
      facts = { size: Number(data.readBigUInt64BE(2)), flags: data.readUInt16BE(10) };
    } else if (type === OPTION_REPLY.ack && facts !== undefined) {
      return facts;
    } else if (type !== OPTION_REPLY.info) {
      throw noServer();
    }
  }
}

function goRequest(name: string): Buffer {
  const text = Buffer.from(name, 'utf8');
  const bytes = Buffer.alloc(4 + 16 + 4 + text.length + 2);
  bytes.writeUInt32BE(CLIENT_FLAG.fixedNewstyle | CLIENT_FLAG.noZeroes, 0);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 4);
  bytes.writeUInt32BE(OPTION.go, 12);
  bytes.writeUInt32BE(4 + text.length + 2, 16);
  bytes.writeUInt32BE(text.length, 20);
  text.copy(bytes, 24);
  return bytes;
}

async function readExactly(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes !== null) return bytes;
    if (socket.readableEnded || socket.destroyed) throw noServer();
    await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
  }
}

function noServer(): RbdsrError {
  return new RbdsrError('internal', { what: 'our NBD server did not offer its own export' });
}
