import { RbdsrError, hasCode } from '../../base/error.ts';
import type { ExportFacts } from './nbd-handshake.ts';
import { COMMAND, COMMAND_FLAG, MAX_PAYLOAD, NBD_ERROR } from './nbd-protocol.ts';
import type { NbdRequest } from './nbd-request-parser.ts';

/** Why a request is not even tried, as an error of the protocol; 0 where it is. */
export function refusalOf(
  { type, flags, offset, length }: NbdRequest,
  served: { readonly facts: ExportFacts; readonly readOnly: boolean },
): number {
  if ((flags & ~flagsOf(type, served.readOnly)) !== 0) return NBD_ERROR.invalid;
  if (type === COMMAND.flush) return 0;
  const writes = type === COMMAND.write || type === COMMAND.writeZeroes || type === COMMAND.trim;
  if (!writes && type !== COMMAND.read) return NBD_ERROR.invalid;
  if (writes && served.readOnly) return NBD_ERROR.perm;
  if (offset + length > served.facts.size) return writes ? NBD_ERROR.noSpace : NBD_ERROR.invalid;
  return type === COMMAND.read && length > MAX_PAYLOAD ? NBD_ERROR.invalid : 0;
}

/**
 * Those of COMMAND_FLAG that were offered: a flag that is not understood may ask for something that must not be left
 * out.
 */
function flagsOf(type: number, readOnly: boolean): number {
  const always = readOnly ? 0 : COMMAND_FLAG.fua;
  return type === COMMAND.writeZeroes ? always | COMMAND_FLAG.noHole : always;
}

/**
 * What a client is told of a failure of ours: its errno where the protocol has that, else an I/O error. A VHD without
 * room is a full disk.
 */
export function errorNumber(error: unknown): number {
  if (hasCode(error, 'sr-full')) return NBD_ERROR.noSpace;
  const errno = error instanceof RbdsrError ? error.detail.facts?.['errno'] : undefined;
  return NUMBERS[String(errno)] ?? NBD_ERROR.io;
}

const NUMBERS: Readonly<Record<string, number>> = {
  ENOSPC: NBD_ERROR.noSpace,
  EPERM: NBD_ERROR.perm,
  EROFS: NBD_ERROR.perm,
  ENOMEM: NBD_ERROR.noMemory,
  EINVAL: NBD_ERROR.invalid,
  ESHUTDOWN: NBD_ERROR.shutdown,
};
