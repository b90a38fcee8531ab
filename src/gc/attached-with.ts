import { type AttachedSr, attachedSr } from '../sr/attached-sr.ts';
import { mappedSr } from '../sr/open-attached-sr.ts';
import type { SrWork } from '../sr/work/work.ts';

/** As sr_attach left it: 'sr-unavailable' where it is not attached any more. */
export function attachedWith(work: SrWork): AttachedSr {
  const { uuid, mapping, record } = mappedSr(work);
  return attachedSr(work, uuid, mapping, record);
}
