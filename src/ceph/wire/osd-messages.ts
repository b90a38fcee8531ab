import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { CLIENT } from './cephx-login.ts';
import type { WireMessage } from './connection.ts';
import { MESSAGE, plainMessage } from './mon-messages.ts';

/** One operation on an object: what OSDs call it, its arguments, and what goes with it. */
export interface Operation {
  readonly code: number;
  /** 1: only where the object is not there yet (CEPH_OSD_OP_FLAG_EXCL); 2: its failure fails no other (FAILOK). */
  readonly flags?: number;
  /** At most 28 bytes. */
  readonly arguments: Buffer;
  readonly input?: Buffer;
}

/** Which object of which pool. */
export interface ObjectPlace {
  readonly pool: number;
  readonly namespace: string;
  readonly object: string;
}

/** One and the same however often it is sent: by this an OSD knows what it has done already. */
export interface OperationIdentity {
  /** The number of this client, from its first login. */
  readonly globalId: bigint;
  readonly tid: number;
}

/** Where an object is now. */
export interface Target {
  readonly osd: number;
  readonly epoch: number;
  readonly hash: number;
  readonly group: number;
}

const READ = 0x14;
const WRITE = 0x24;
const RETRY = 0x08;

/** ceph `src/messages/MOSDOp.h`, version 8, which every release since Luminous takes. */
export function operationMessage(
  place: ObjectPlace,
  operations: readonly Operation[],
  access: 'read' | 'write',
  { globalId, tid }: OperationIdentity,
  { epoch, hash, group }: Target,
  attempt: number,
): WireMessage {
  const source = new ByteWriter().u8(CLIENT).u64(globalId).u64(tid).u32(0).done();
  const locator = new ByteWriter().u64(place.pool).u32(0xffffffff).text('').text(place.namespace).done();
  const now = Date.now();
  const front = new ByteWriter()
    .versioned(1, 1, new ByteWriter().raw(groupBytes(place.pool, group)).u8(0xff).done())
    .u32(hash)
    .u32(epoch)
    .u32((access === 'write' ? WRITE : READ) | (attempt > 0 ? RETRY : 0))
    .versioned(2, 2, source)
    .raw(Buffer.alloc(24))
    .u32(0)
    .u32(Math.floor(now / 1000))
    .u32((now % 1000) * 1_000_000)
    .versioned(5, 4, locator)
    .text(place.object)
    .u16(operations.length);
  for (const operation of operations) front.raw(operationBytes(operation));
  front.u64(-2n).u64(0).u32(0).u32(attempt).u64(FEATURES_MEANT);
  const data = Buffer.concat(operations.map(({ input = Buffer.alloc(0) }) => input));
  return plainMessage(MESSAGE.osdOperation, front.done(), { version: 8, compatVersion: 3, tid, data });
}

/** What the client could, as a hint: nothing is concluded from it. */
const FEATURES_MEANT = 0;
const OPERATION_BYTES = 38;
const ARGUMENT_BYTES = 28;

function groupBytes(pool: number, group: number): Buffer {
  return new ByteWriter().u8(1).u64(pool).u32(group).u32(0xffffffff).done();
}

function operationBytes({ code, flags = 0, arguments: args, input }: Operation): Buffer {
  const padded = Buffer.alloc(ARGUMENT_BYTES);
  args.copy(padded);
  return new ByteWriter()
    .u16(code)
    .u32(flags)
    .raw(padded)
    .u32(input?.length ?? 0)
    .done();
}

/** What became of a message of operations. */
export interface OperationReply {
  /** 0 or an errno below 0, of the first operation that failed. */
  readonly result: number;
  readonly each: readonly { readonly result: number; readonly output: Buffer }[];
}

/** ceph `src/messages/MOSDOpReply.h`. */
export function operationReply({ front, data }: WireMessage): OperationReply {
  const read = new ByteReader(front, 'the answer of an OSD');
  read.blob('object');
  read.skip(17 + 8, 'placement group and flags');
  const result = read.s32('result');
  read.skip(12 + 4, 'versions');
  const lengths = read.list('operations', OPERATION_BYTES, () => {
    read.skip(OPERATION_BYTES - 4, 'operation');
    return read.u32('length of the output');
  });
  read.skip(4, 'attempt');
  const outputs = new ByteReader(data, 'the output of an OSD');
  const results = lengths.map(() => read.s32('result of an operation'));
  return {
    result,
    each: lengths.map((length, index) => ({ result: results[index] ?? 0, output: outputs.bytes(length, 'output') })),
  };
}

/** An OSD cannot serve some of its objects now; what it was asked of them it has dropped. */
export interface Backoff {
  readonly isBlock: boolean;
  readonly acknowledgement: WireMessage;
}

const BACKOFF = { block: 1, acknowledgeBlock: 2 } as const;

/** ceph `src/messages/MOSDBackoff.h`: placement group, epoch, what, number, first and last object. */
export function backoff({ front }: WireMessage): Backoff {
  const read = new ByteReader(front, 'the backoff of an OSD');
  read.versioned('placement group');
  read.skip(4, 'epoch');
  const at = front.length - read.left;
  const isBlock = read.u8('operation') === BACKOFF.block;
  const answer = Buffer.from(front);
  answer[at] = BACKOFF.acknowledgeBlock;
  return { isBlock, acknowledgement: plainMessage(MESSAGE.backoff, answer) };
}

const OPERATION = {
  read: 0x1201,
  stat: 0x1202,
  notify: 0x1206,
  watchers: 0x1209,
  call: 0x1401,
  delete: 0x2205,
  create: 0x220d,
} as const;

/** A method of an object class. */
export function callMethod(className: string, method: string, input: Buffer = Buffer.alloc(0), flags = 0): Operation {
  const args = new ByteWriter().u8(className.length).u8(method.length).u8(0).u32(input.length).done();
  const payload = new ByteWriter().raw(Buffer.from(className)).raw(Buffer.from(method)).raw(input).done();
  return { code: OPERATION.call, flags, arguments: args, input: payload };
}

/** A length of 0 is the whole object. */
export function readBytes(offset: number, length: number): Operation {
  return { code: OPERATION.read, arguments: new ByteWriter().u64(offset).u64(length).u64(0).u32(0).done() };
}

/** Fails where the object is there already. */
export function createExclusively(): Operation {
  return { code: OPERATION.create, flags: 1, arguments: Buffer.alloc(0) };
}

export const statObject: Operation = { code: OPERATION.stat, arguments: Buffer.alloc(0) };
export const removeObject: Operation = { code: OPERATION.delete, arguments: Buffer.alloc(0) };
export const listWatchers: Operation = { code: OPERATION.watchers, arguments: Buffer.alloc(0) };

/**
 * All who watch the object are told. That they were comes as a message of its own, which names the cookie: message
 * `notificationOf`.
 */
export function notifyWatchers(payload: Buffer, timeoutSeconds: number, cookie: number): Operation {
  const input = new ByteWriter().u32(1).u32(timeoutSeconds).blob(payload).done();
  return { code: OPERATION.notify, arguments: new ByteWriter().u64(cookie).done(), input };
}

/** Who of those that watch an object has answered, and who has not in time. */
export interface Notified {
  readonly cookie: number;
  /** Numbers of clients. */
  readonly missed: readonly bigint[];
}

/** ceph `src/messages/MWatchNotify.h`; the lists are the message's data. */
export function notificationOf({ front, data }: WireMessage): Notified {
  const read = new ByteReader(front, 'the end of a notification');
  read.skip(2, 'version and opcode');
  const cookie = Number(read.u64('cookie'));
  if (data.length === 0) return { cookie, missed: [] };
  const lists = new ByteReader(data, 'the answers to a notification');
  lists.list('answers', 8 + 8 + 4, () => {
    lists.skip(16, 'who');
    lists.blob('answer');
  });
  const missed = lists.list('missed', 8 + 8, () => {
    const client = lists.u64('client');
    lists.skip(8, 'cookie');
    return client;
  });
  return { cookie, missed };
}
