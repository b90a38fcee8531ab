import { messageOf } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import { removeMapKey } from '../../xapi/map-keys.ts';
import type { VdiRecord } from '../../xapi/vdi.ts';
import type { VdiRecords } from '../vdi-records.ts';
import { workUntil } from '../work/work-until.ts';
import type { SrWork } from '../work/work.ts';
import { activeHosts } from './host-keys.ts';
import { whyUnsettled } from './settled-marks.ts';

/**
 * A host that attaches an SR has none of its VDIs active, nor is it activating one; on the master no VDI can be paused
 * either (sm `SRCommand`, reset_sr). But the master may still be at what this host had asked for before it let go: then
 * its marks stay, which keep other hosts away.
 */
export async function clearStaleHostKeys(work: SrWork, sr: SrUuid, records: VdiRecords): Promise<void> {
  const { srRef, hostRef } = work.subject;
  if (srRef === undefined || hostRef === undefined) return;
  const stale = (await records.of(work)).map((vdi) => ({ vdi, keys: staleKeys(work, vdi, hostRef) }));
  const marked = stale.filter(({ keys }) => keys.length > 0);
  const why = await whyUnsettled(
    work,
    sr,
    marked.map(({ vdi }) => vdi.uuid as VdiUuid),
  );
  if (why !== undefined) {
    const names = marked.map(({ vdi }) => vdi.uuid).join(', ');
    work.log.warn(`SR ${sr}: the marks of this host stay on VDI ${names}: ${messageOf(why)}`);
    return;
  }
  if (marked.length === 0) return;
  records.changed();
  const xapi = await work.xapi();
  for (const { vdi, keys } of marked) for (const key of keys) await removeMapKey(xapi, 'VDI.sm_config', vdi.ref, key);
}

/**
 * The same where the SR has been attached all along, as when the toolstack is restarted: disks may be in use. Those
 * that are not lose the mark of this host as when another one had asked for it. Never fails: a mark that stays is in
 * the way of its own disk only. True where there were such marks: the volume of a disk that is let go may have shrunk.
 */
export async function clearIdleHostKeys(work: SrWork, sr: SrUuid, records: VdiRecords): Promise<boolean> {
  const { srRef, hostRef } = work.subject;
  if (srRef === undefined || hostRef === undefined) return false;
  const marked = (await records.of(work)).filter(({ smConfig }) => Object.hasOwn(smConfig, `host_${hostRef}`));
  if (marked.length === 0) return false;
  records.changed();
  const { giveUpMark } = await import('./give-up-mark.ts');
  const asking = workUntil(work, work.deadline.within(IDLE_MS));
  for (const { uuid } of marked) {
    try {
      const isGone = await giveUpMark(asking, { sr, vdi: uuid as VdiUuid }, { isReleased: true });
      if (isGone) work.log.info(`VDI ${uuid}: nothing has it open here, the mark of this host is gone`);
    } catch (error) {
      work.log.warn(`VDI ${uuid}: the mark of this host stays: ${messageOf(error)}`);
    }
  }
  return true;
}

/** For all disks together, ms. */
const IDLE_MS = 20_000;

function staleKeys(work: SrWork, { smConfig }: VdiRecord, hostRef: string): readonly string[] {
  const isOurs = activeHosts(smConfig).join() === hostRef;
  const keys = [`host_${hostRef}`, ...(work.subject.srMaster ? ['paused'] : []), ...(isOurs ? ['activating'] : [])];
  return keys.filter((key) => Object.hasOwn(smConfig, key));
}
