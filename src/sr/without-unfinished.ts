import { unfinishedVolumes } from '../lvhd/ops/vdi-create.ts';
import type { VgReport } from '../lvm/report.ts';
import type { AttachedSr } from './attached-sr.ts';

/**
 * Removes the volumes of creations that were cut short; the report as it is afterwards, without asking LVM again. The
 * caller holds the SR lock, so that no creation is under way.
 */
export async function withoutUnfinished(sr: AttachedSr, report: VgReport): Promise<VgReport> {
  const unfinished = unfinishedVolumes(report);
  if (unfinished.length === 0) return report;
  await sr.lvm.removeLvs(unfinished.map(({ name }) => name));
  return {
    ...report,
    freeBytes: unfinished.reduce((free, { sizeBytes }) => free + sizeBytes, report.freeBytes),
    lvs: report.lvs.filter((lv) => !unfinished.includes(lv)),
  };
}
