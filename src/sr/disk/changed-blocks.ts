import { messageOf, RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { volumesByExtents } from '../../lvhd/extent-open.ts';
import { cbtLogOf } from '../../lvhd/cbt-log.ts';
import { endTracking } from '../../lvhd/ops/end-tracking.ts';
import type { VgReport } from '../../lvm/report.ts';
import { createMessage } from '../../xapi/message.ts';
import { changeVdi, vdiByUuid } from '../../xapi/vdi.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { recoveredReport } from '../recovered-sr.ts';
import { noteSrTotals } from '../sr-totals.ts';
import type { SrWork } from '../work/work.ts';
import { byMaster } from './by-master.ts';

/**
 * Before a disk is written to whose changes the stock driver tracks: this release does not, so its log would go on
 * saying that what it has is all there is, and the next incremental backup under the stock driver would lack what is
 * written now. Ended before the first write, or the disk is not used: 'vdi-unavailable'. `ask`: whether the pool master
 * and xapi may be asked.
 */
export async function endTrackingBeforeWriting(
  work: SrWork,
  sr: AttachedSr,
  report: VgReport,
  vdi: VdiUuid,
  ask: boolean,
): Promise<void> {
  const log = cbtLogOf(report, vdi);
  if (log === undefined) return;
  try {
    if (!ask) throw new RbdsrError('not-master', { what: 'only the pool master ends it, and xapi is not asked here' });
    await byMaster(work, sr, vdi, 'end_tracking', endTrackingOf);
  } catch (error) {
    throw new RbdsrError('vdi-unavailable', {
      what: `the changes of VDI ${vdi} are tracked in ${log.name}, which RBDSR would spoil, and that cannot be ended: ${messageOf(error)}`,
      todo: 'Mend what it says, or end the tracking where the stock driver has the SR: xe vdi-disable-cbt.',
      cause: error,
    });
  }
}

/**
 * On the SR master, under the SR's lock; no log: nothing to do. Then xapi's record says so, and a message by the name
 * that stock gives it, for people and for backup programs, which make their next backup a full one.
 */
export async function endTrackingOf(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<void> {
  work.waiting(`LVM to remove the log of changed blocks of VDI ${vdi}`);
  const report = await recoveredReport(work, sr);
  const freed = await endTracking(volumesByExtents(sr), report, vdi);
  if (freed === undefined) return;
  work.log.warn(`SR ${sr.uuid}: the tracking of changed blocks of VDI ${vdi} has ended`);
  work.waiting(`xapi to record that the changes of VDI ${vdi} are not tracked`);
  try {
    const xapi = await work.xapi();
    if (work.profile.dbIntroduceArity === 19) await changeVdi(xapi, await vdiByUuid(xapi, vdi), { cbtEnabled: false });
    await createMessage(xapi, {
      name: 'VDI_CBT_METADATA_INCONSISTENT',
      priority: 3,
      about: 'VDI',
      uuid: vdi,
      body: `RBDSR does not track changed blocks: tracking has ended for disk ${vdi}, and its next backup is a full one.`,
    });
  } catch (error) {
    // The log is gone, which is what counts: the next scan tells xapi.
    work.log.warn(`that the changes of VDI ${vdi} are not tracked any more is not told to xapi: ${messageOf(error)}`);
  }
  await noteSrTotals(work, () => ({ ...report, freeBytes: report.freeBytes + freed }));
}
