import { MiB } from '../base/units.ts';
import type { VgReport } from '../lvm/report.ts';
import type { AttachedSr } from './attached-sr.ts';
import type { SrWork } from './work/work.ts';

/** Stock ignores less: a device may be a little larger than its last resize asked for. Bytes. */
export const WORTH_GROWING = 100 * MiB;

/** On the SR master: lets the volume group use an image that has been made larger. The report as it is after that. */
export async function growVolumeGroup(work: SrWork, sr: AttachedSr, report: VgReport): Promise<VgReport> {
  if (!work.subject.srMaster) return report;
  const [pv] = report.pvs;
  if (pv === undefined || pv.deviceSizeBytes - pv.sizeBytes - pv.dataStartBytes < WORTH_GROWING) return report;
  work.log.info(`SR ${sr.uuid}: ${sr.mapping.device} has grown; LVM uses it now`);
  return sr.lvm.growPv(report);
}
