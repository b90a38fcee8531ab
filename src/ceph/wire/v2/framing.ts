import { RbdsrError } from '../../../base/error.ts';

/** One thing said in messenger v2: up to four segments, of which "control" is the first. */
export interface Frame {
  readonly tag: number;
  /** Without empty ones at the end; a frame without any content has none. */
  readonly segments: readonly Buffer[];
}

/** Where the bytes of frames come from, in the portions asked for. */
export interface ByteSource {
  read(length: number): Promise<Buffer>;
}

/**
 * How frames look on the wire, in one of the two modes. `read` fails with 'control-plane-failed' for a frame that was
 * changed on the way or has more than `mostBytes`; nothing that comes after it can be understood.
 */
export interface Framing {
  encode(frame: Frame): Buffer;
  read(source: ByteSource, mostBytes: number): Promise<Frame>;
}

/** Empty segments at the end are not sent; at least one is. */
export function segmentsToSend({ segments }: Frame): readonly Buffer[] {
  const last = segments.findLastIndex(({ length }) => length > 0);
  return segments.slice(0, Math.max(last + 1, 1));
}

/** The last byte group of a frame says whether its sender has got to its end (msgr2.rst, "late_status"). */
export const COMPLETE = 0x0e;

export function refuseAborted(status: number): void {
  if ((status & 0x0f) !== COMPLETE) throw frameChanged('end', `status ${COMPLETE}`, `status ${status}`);
}

export function frameChanged(part: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `the ${part} of a frame of messenger v2 is not what its sender has sent`,
    expected,
    found,
    facts: { field: part, errno: 'EBADMSG' },
  });
}
