import { hasCode, messageOf } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { volumesByExtents } from '../lvhd/extent-open.ts';
import { foldLog } from '../lvhd/ops/end-tracking.ts';
import type { VdiTree } from '../lvhd/tree.ts';
import { unfinishedDeletions } from '../lvhd/ops/vdi-delete.ts';
import type { VgReport } from '../lvm/report.ts';
import type { VdiRecord } from '../xapi/vdi.ts';
import type { AttachedSr } from './attached-sr.ts';
import type { SrWork } from './work/work.ts';
import { activeHosts } from './hosts/host-keys.ts';

/**
 * Removes what deletions that were cut short have left, once their records are gone; what a host has active, as its
 * mark says, stays. `records` are xapi's from before. The caller is the SR master, holds the SR lock, and has found
 * every header readable but those of disks that are marked as deleted, and no journal but of growings that cannot be
 * undone. Answers the report without them.
 */
export async function finishDeletions(
  work: SrWork,
  sr: AttachedSr,
  report: VgReport,
  tree: VdiTree,
  records: readonly VdiRecord[],
): Promise<VgReport> {
  const managed = new Set(records.filter((record) => record.managed).map(({ uuid }) => uuid as VdiUuid));
  const held = new Set(records.filter(({ smConfig }) => activeHosts(smConfig).length > 0).map(({ uuid }) => uuid));
  let { freeBytes } = report;
  for (const { uuid, lvName, lvSizeBytes } of unfinishedDeletions(report, tree, managed)) {
    // The scan has said so.
    if (held.has(uuid)) continue;
    work.waiting(`LVM to remove ${lvName}`);
    try {
      freeBytes += await foldLog(volumesByExtents(sr), report, uuid);
      await sr.lvm.removeLv(lvName);
    } catch (error) {
      if (!hasCode(error, 'device-busy', 'lvm-delete')) throw error;
      work.log.warn(`SR ${sr.uuid}: ${lvName} stays, hidden: ${messageOf(error)}`);
      continue;
    }
    work.log.info(`SR ${sr.uuid}: removed the volume of VDI ${uuid}, whose deletion was cut short`);
    freeBytes += lvSizeBytes;
  }
  return { ...report, freeBytes };
}
