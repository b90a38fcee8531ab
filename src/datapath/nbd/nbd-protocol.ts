/**
 * Numbers of the NBD protocol: NetworkBlockDevice/nbd `doc/proto.md`. All integers on the wire are big-endian. Only
 * simple replies are spoken: the kernel's client knows no others.
 */

/** "NBDMAGIC". */
export const NBD_MAGIC = 0x4e42444d41474943n;
/** "IHAVEOPT". */
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;

export const HANDSHAKE_FLAG = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const CLIENT_FLAG = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const TRANSMISSION_FLAG = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
} as const;

export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;

export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  unknown: 0x80000006,
  tooBig: 0x80000009,
} as const;

export const INFO = { export: 0, name: 1, blockSize: 3 } as const;

export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;

export const COMMAND_FLAG = { fua: 1 << 0, noHole: 1 << 1 } as const;

export const NBD_ERROR = {
  perm: 1,
  io: 5,
  noMemory: 12,
  invalid: 22,
  noSpace: 28,
  notSupported: 95,
  shutdown: 108,
} as const;

/** The longest payload of one request, bytes; what a client may assume unless told otherwise. */
export const MAX_PAYLOAD = 32 * 1024 * 1024;
