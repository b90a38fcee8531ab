import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { CEPHX } from '../cephx-login.ts';
import type { Frame } from './framing.ts';
import { FRAME_TAG } from './tags.ts';

/** How a connection goes on after authentication (ceph `src/include/ceph_fs.h`, CEPH_CON_MODE). */
export const MODE = { crc: 1, secure: 2 } as const;

export type ModeName = keyof typeof MODE;

/** cephx, and the modes this side takes, the preferred one first. */
export function authRequest(modes: readonly ModeName[], payload: Buffer): Frame {
  const writer = new ByteWriter().u32(CEPHX).u32(modes.length);
  for (const mode of modes) writer.u32(MODE[mode]);
  return { tag: FRAME_TAG.authRequest, segments: [writer.blob(payload).done()] };
}

export function authRequestMore(payload: Buffer): Frame {
  return { tag: FRAME_TAG.authRequestMore, segments: [new ByteWriter().blob(payload).done()] };
}

export function decodeReplyMore(frame: Frame): Buffer {
  return controlOf(frame, 'the challenge of a daemon').blob('payload');
}

export interface AuthDone {
  readonly globalId: bigint;
  readonly mode: number;
  readonly payload: Buffer;
}

export function decodeDone(frame: Frame): AuthDone {
  const read = controlOf(frame, 'the end of a login');
  return { globalId: read.u64('global id'), mode: read.u32('mode'), payload: read.blob('payload') };
}

export interface BadMethod {
  /** An errno below 0. */
  readonly result: number;
  readonly allowedMethods: readonly number[];
  readonly allowedModes: readonly number[];
}

export function decodeBadMethod(frame: Frame): BadMethod {
  const read = controlOf(frame, 'the refusal of a login');
  read.skip(4, 'method');
  return {
    result: read.s32('result'),
    allowedMethods: read.list('allowed methods', 4, () => read.u32('method')),
    allowedModes: read.list('allowed modes', 4, () => read.u32('mode')),
  };
}

export function controlOf({ segments }: Frame, what: string): ByteReader {
  return new ByteReader(segments[0] ?? Buffer.alloc(0), what);
}
