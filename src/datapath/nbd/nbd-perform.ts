import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { COMMAND, COMMAND_FLAG } from './nbd-protocol.ts';
import type { NbdRequest } from './nbd-request-parser.ts';

/**
 * Does to the disk what an admitted request asks; answers what was read. `abandoned` tells when nobody waits for it any
 * more.
 */
export function performRequest(
  { io, readOnly }: { readonly io: BlockIo; readonly readOnly: boolean },
  { type, flags, offset, length, payload }: Readonly<NbdRequest>,
  abandoned: () => boolean,
): Promise<Buffer | void> {
  if (type === COMMAND.read) return io.read(offset, length);
  if (type === COMMAND.flush) return readOnly ? Promise.resolve() : io.flush();
  const done = change();
  return (flags & COMMAND_FLAG.fua) === 0 ? done : done.then(() => io.flush());

  /** A trim is taken as a hint and not followed: a VHD block, once allocated, stays. */
  function change(): Promise<void> {
    if (payload !== undefined) return io.write(offset, payload);
    if (type !== COMMAND.writeZeroes) return Promise.resolve();
    return writeZeroes(io, offset, length, (flags & COMMAND_FLAG.noHole) !== 0, abandoned);
  }
}

/**
 * Zeroes where there are none yet: what is sparse stays so, unless the client wants the room. A request may be for
 * gigabytes, so it ends with its client.
 */
async function writeZeroes(
  io: BlockIo,
  offset: number,
  length: number,
  allocate: boolean,
  abandoned: () => boolean,
): Promise<void> {
  for (let done = 0; done < length; done += ZEROES.length) {
    if (abandoned()) throw new RbdsrError('io', { what: 'nobody waits for it', facts: { errno: 'ESHUTDOWN' } });
    const zeroes = ZEROES.subarray(0, Math.min(ZEROES.length, length - done));
    if (allocate || !(await io.read(offset + done, zeroes.length)).equals(zeroes))
      await io.write(offset + done, zeroes);
  }
}

const ZEROES = Buffer.alloc(256 * 1024);
