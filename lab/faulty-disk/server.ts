import { createServer, type Server, type Socket } from 'node:net';
import { Handshake } from '../../src/datapath/nbd/nbd-handshake.ts';
import {
  COMMAND,
  NBD_ERROR,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
  TRANSMISSION_FLAG,
} from '../../src/datapath/nbd/nbd-protocol.ts';
import { type FaultyStore, PowerCut, Refused } from './store.ts';

export const EXPORT_NAME = 'faulty';

const FLAGS = TRANSMISSION_FLAG.hasFlags | TRANSMISSION_FLAG.sendFlush | TRANSMISSION_FLAG.sendTrim;
const HEADER = 28;

interface Request {
  readonly type: number;
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
  readonly payload: Buffer;
}

/**
 * Serves the disk over NBD at that socket. Chance decides which of the two requests that wait longest is done first,
 * as a disk may.
 */
export function serveStore(store: FaultyStore, socketPath: string): Server {
  return createServer((socket) => serveClient(store, socket)).listen(socketPath);
}

function serveClient(store: FaultyStore, socket: Socket): void {
  const handshake = new Handshake({ name: EXPORT_NAME, size: store.size, flags: FLAGS });
  const waiting: Request[] = [];
  let pending: Buffer | undefined;
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    if (pending === undefined) {
      const { send, next, rest } = handshake.accept(chunk);
      for (const bytes of send) socket.write(bytes);
      if (next === 'close') socket.end();
      if (next === 'transmission') pending = rest;
    } else pending = Buffer.concat([pending, chunk]);
    while (pending !== undefined) {
      const request = requestIn(pending);
      if (request === undefined) break;
      pending = pending.subarray(HEADER + request.payload.length);
      waiting.push(request);
      setImmediate(() => doOne(store, socket, waiting));
    }
  });
  socket.write(handshake.greeting());
}

/** One turn for each request that came. */
function doOne(store: FaultyStore, socket: Socket, waiting: Request[]): void {
  const [request] = waiting.splice(Math.floor(Math.random() * Math.min(waiting.length, 2)), 1);
  if (request === undefined || socket.destroyed) return;
  if (request.type === COMMAND.disconnect) return void socket.end();
  try {
    reply(socket, request, 0, perform(store, request));
  } catch (error) {
    if (error instanceof PowerCut) return void socket.destroy();
    if (!(error instanceof Refused)) throw error;
    reply(socket, request, NBD_ERROR.io);
  }
}

function perform(store: FaultyStore, { type, offset, length, payload }: Request): Buffer | undefined {
  if (type === COMMAND.read) return store.read(offset, length);
  if (type === COMMAND.write) store.write(offset, payload);
  else if (type === COMMAND.trim) store.discard(offset, length);
  else if (type === COMMAND.flush) store.flush();
  else throw new Refused();
  return undefined;
}

function reply(socket: Socket, { cookie }: Request, error: number, data?: Buffer): void {
  const head = Buffer.alloc(16);
  head.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  head.writeUInt32BE(error, 4);
  cookie.copy(head, 8);
  socket.write(data === undefined ? head : Buffer.concat([head, data]));
}

/** The request that these bytes begin with (doc/proto.md, "Request message"), once it is whole. */
function requestIn(bytes: Buffer): Request | undefined {
  if (bytes.length < HEADER) return undefined;
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) throw new Error('the client sent what is no request');
  const [type, length] = [bytes.readUInt16BE(6), bytes.readUInt32BE(24)];
  const end = HEADER + (type === COMMAND.write ? length : 0);
  if (bytes.length < end) return undefined;
  return {
    type,
    length,
    offset: Number(bytes.readBigUInt64BE(16)),
    cookie: Buffer.from(bytes.subarray(8, 16)),
    payload: Buffer.from(bytes.subarray(HEADER, end)),
  };
}
