import { messageOf } from '../base/error.ts';
import type { VgReport } from '../lvm/report.ts';
import { setSrTotals, srVirtualAllocation } from '../xapi/sr.ts';
import { srOf } from './work/subject.ts';
import type { SrWork } from './work/work.ts';

/** Physical totals from LVM; the virtual allocation only changes by what the command added or took. Bytes. */
export async function updateSrTotals(
  work: SrWork,
  report: VgReport,
  virtualAllocation?: { readonly delta: number } | { readonly total: number },
): Promise<void> {
  const { srRef } = work.subject;
  if (srRef === undefined) return;
  const xapi = await work.xapi();
  const virtual =
    virtualAllocation === undefined
      ? {}
      : {
          virtualAllocation:
            'total' in virtualAllocation
              ? virtualAllocation.total
              : Math.max(0, (await srVirtualAllocation(xapi, srRef)) + virtualAllocation.delta),
        };
  await setSrTotals(xapi, srRef, {
    ...virtual,
    physicalSize: report.sizeBytes,
    physicalUtilisation: report.sizeBytes - report.freeBytes,
  });
}

/**
 * The same after a command has done what it was asked for: a failure is a warning then, for the next scan mends the
 * totals, and an answer that says "failed" would be wrong.
 */
export async function noteSrTotals(
  work: SrWork,
  report: () => VgReport | Promise<VgReport>,
  virtualAllocation?: { readonly delta: number },
): Promise<void> {
  try {
    await updateSrTotals(work, await report(), virtualAllocation);
  } catch (error) {
    work.log.warn(`the totals of SR ${srOf(work)} are old until its next scan: ${messageOf(error)}`);
  }
}
