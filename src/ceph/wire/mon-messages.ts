import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { CEPHX, type UserLogin } from './cephx-login.ts';
import type { WireMessage } from './connection.ts';

/** Numbers of the messages that a control plane sends and gets (ceph `src/include/ceph_fs.h`, `src/messages`). */
export const MESSAGE = {
  monitorMap: 4,
  getMonitorMap: 5,
  auth: 17,
  authReply: 18,
  osdOperation: 42,
  osdReply: 43,
  watchNotify: 44,
  command: 50,
  commandReply: 51,
  backoff: 61,
} as const;

/** What every message to a monitor's database begins with: no version, and not passed on by another monitor. */
const UNVERSIONED = new ByteWriter().u64(0).u16(0xffff).u64(0).done();
/** The bytes of it in an answer. */
const VERSION_BYTES = UNVERSIONED.length;

export function plainMessage(type: number, front: Buffer, rest: Partial<WireMessage> = {}): WireMessage {
  return { type, version: 1, compatVersion: 1, tid: 0, front, data: Buffer.alloc(0), ...rest };
}

/** A payload of the method that `protocol` names; 0 while none is agreed. */
export function authMessage(protocol: number, payload: Buffer): WireMessage {
  const front = new ByteWriter().raw(UNVERSIONED).u32(protocol).blob(payload).u32(0).done();
  return plainMessage(MESSAGE.auth, front);
}

/** Who wants to log in, and that it knows cephx alone. */
export function offeredMethods(login: UserLogin): Buffer {
  return new ByteWriter().u8(1).u32(1).u32(CEPHX).raw(login.entity()).u64(login.globalId).done();
}

export interface AuthReply {
  readonly protocol: number;
  /** 0, or an errno below 0. */
  readonly result: number;
  readonly globalId: bigint;
  readonly payload: Buffer;
}

export function authReply({ front }: WireMessage): AuthReply {
  const read = new ByteReader(front, 'the answer to a login');
  return {
    protocol: read.u32('protocol'),
    result: read.s32('result'),
    globalId: read.u64('global id'),
    payload: read.blob('payload'),
  };
}

/** The answer is the map of monitors, whose cluster a command has to name. */
export function askMonitorMap(): WireMessage {
  return plainMessage(MESSAGE.getMonitorMap, Buffer.alloc(0));
}

/** The cluster's fsid, as its 16 bytes. */
export function fsidOfMonitorMap({ front }: WireMessage): Buffer {
  const map = new ByteReader(new ByteReader(front, 'the map of monitors').blob('map'), 'the map of monitors');
  map.skip(2, 'version');
  return Buffer.from(map.bytes(16, 'fsid'));
}

/** One JSON object, as `ceph` sends for a command of its own. */
export function commandMessage(fsid: Buffer, command: Readonly<Record<string, unknown>>, tid: number): WireMessage {
  const front = new ByteWriter().raw(UNVERSIONED).raw(fsid).u32(1).text(JSON.stringify(command)).done();
  return plainMessage(MESSAGE.command, front, { tid });
}

export interface CommandReply {
  /** 0, or an errno below 0. */
  readonly code: number;
  readonly words: string;
  readonly output: string;
}

export function commandReply({ front, data }: WireMessage): CommandReply {
  const read = new ByteReader(front, 'the answer to a command');
  read.skip(VERSION_BYTES, 'version');
  return { code: read.s32('code'), words: read.text('words'), output: data.toString('utf8') };
}
