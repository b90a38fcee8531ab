import type { VdiUuid } from '../../base/ids.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { askMaster, type MasterFunction } from '../hosts/master-plugin.ts';
import type { SrWork } from '../work/work.ts';

/**
 * How long stock tries for the SR's lock while it holds a VDI's: the other order would wait for us (sm
 * `lvhdutil.attachThin`).
 */
const SR_LOCK_MS = 20_000;

/**
 * A change of LVM metadata for a disk whose lock this command holds: on the SR master it is `here`, under the SR's
 * lock, elsewhere the function of the master's plug-in that comes to the same. After a failure the lock stays until
 * the command ends.
 */
export async function byMaster(
  work: SrWork,
  sr: AttachedSr,
  vdi: VdiUuid,
  fn: MasterFunction,
  here: (work: SrWork, sr: AttachedSr, vdi: VdiUuid) => Promise<void>,
): Promise<void> {
  if (!work.subject.srMaster) return askMaster(work, sr.uuid, vdi, fn);
  const lock = await work.lockSr(sr.uuid, { deadline: work.deadline.within(SR_LOCK_MS) });
  await here(work, sr, vdi);
  await lock.release();
}
