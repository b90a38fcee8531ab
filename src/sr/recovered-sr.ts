import { listJournals } from '../lvhd/journal/journal.ts';
import type { VgReport } from '../lvm/report.ts';
import { type AttachedSr, recoverIfMaster, reportOf, type SrNodes } from './attached-sr.ts';
import type { SrWork } from './work/work.ts';

/**
 * The volume group before a command that changes it, interrupted operations undone first: one report where there was
 * none. 'journal' for one that this release cannot undo.
 */
export async function recoveredReport(work: SrWork, sr: AttachedSr): Promise<VgReport> {
  work.waiting(`LVM to read ${sr.vg}`);
  const report = await reportOf(sr);
  if (listJournals(report).length === 0) return report;
  await recoverIfMaster(work, sr, report);
  return reportOf(sr);
}

/** The same with the headers that `read` reads: of all disks, or of one's chain. */
export async function recoveredNodes(work: SrWork, sr: AttachedSr, read: () => Promise<SrNodes>): Promise<SrNodes> {
  const found = await read();
  if (listJournals(found.report).length === 0) return found;
  await recoverIfMaster(work, sr, found.report);
  return read();
}
