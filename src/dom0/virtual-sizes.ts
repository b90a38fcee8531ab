import { GiB, MiB } from '../base/units.ts';

/** Bytes. Beyond it, a full VHD of 2 TiB of metadata would pass 2^32 sectors. */
export const MAX_VIRTUAL_SIZE = 2040 * GiB;
/** By host version: 6.5 and 7 allow a little more. Of 7.3 to 8.1 it is not known, so that they have the smallest. */
export const MAX_VIRTUAL_SIZES = { '6.5': 2_093_051 * MiB, '7': 2_093_050 * MiB, '8': MAX_VIRTUAL_SIZE } as const;
