import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { volumesByExtents } from '../../lvhd/extent-open.ts';
import { deflate, deflatedSize, inflate } from '../../lvhd/ops/inflate.ts';
import { journalsOf } from '../../lvhd/journal/journal.ts';
import type { VdiNode } from '../../lvhd/lv-table.ts';
import { fullVhdLvSize, lvSize } from '../../lvhd/sizes.ts';
import type { VgReport } from '../../lvm/report.ts';
import { changeVdi, vdiByUuid } from '../../xapi/vdi.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { holdDevice } from '../held-device.ts';
import { noteSrTotals } from '../sr-totals.ts';
import { recoverIfMaster } from '../recovered-sr.ts';
import type { SrNodes } from '../read-sr.ts';
import type { SrWork } from '../work/work.ts';
import { mayStillRun } from '../hosts/master-plugin.ts';
import { readDisk } from '../read-disks.ts';
import { byMaster } from './by-master.ts';

/** A guest may write every block, so the volume of a writable VHD has to hold them all. 'vdi-provision'. */
export async function provideRoom(work: SrWork, sr: AttachedSr, leaf: VdiNode, grow: boolean): Promise<void> {
  if (!lacksRoom(leaf)) return;
  try {
    if (!grow)
      throw new RbdsrError('vdi-provision', { what: 'only the pool master grows it, and xapi is not asked here' });
    await byMaster(work, sr, leaf.uuid, 'inflate', growVolume);
    // Active already is what a call that was cut short left: with the table of the old size.
    if (leaf.active && !work.subject.srMaster) await sr.lvm.refresh(leaf.lvName);
  } catch (error) {
    const room = hasCode(error, 'sr-full') ? error.detail.todo : undefined;
    throw new RbdsrError('vdi-provision', {
      what: `the volume of VDI ${leaf.uuid} cannot be grown for writing: ${messageOf(error)}`,
      ...(room === undefined ? {} : { todo: room }),
      cause: error,
    });
  }
}

/** Whether the volume of a VHD is smaller than all of its blocks. */
export function lacksRoom({ kind, lvSizeBytes, virtualSizeBytes }: VdiNode): boolean {
  return kind === 'vhd' && lvSizeBytes < fullVhdLvSize(virtualSizeBytes);
}

/** Disks whose volume is shrunk when they are deactivated. */
export function isGivenBack({ allocation }: Pick<AttachedSr, 'allocation'>, isASnapshot: boolean): boolean {
  return allocation === 'thin' || isASnapshot;
}

/**
 * For a disk that is active nowhere and that still bears this host's mark: gives back what a thin disk, or a snapshot,
 * does not use. A failure costs only room, so it is a warning; but where LVM may still be at it, it is a failure, and
 * the mark keeps other hosts away until deactivating again has found it done: a guest of theirs would write where the
 * volume is about to end.
 */
export async function giveBackRoom(work: SrWork, sr: AttachedSr, leaf: VdiNode): Promise<void> {
  if (leaf.kind !== 'vhd' || leaf.lvSizeBytes < fullVhdLvSize(leaf.virtualSizeBytes)) return;
  try {
    await byMaster(work, sr, leaf.uuid, 'deflate', shrinkVolume);
  } catch (error) {
    if (mayStillRun(error)) throw error;
    work.log.warn(`SR ${sr.uuid}: VDI ${leaf.uuid} keeps its full size: ${messageOf(error)}`);
  }
}

/** On the SR master, under the SR's lock: to the size that holds every block. Large enough already: nothing to do. */
export async function growVolume(work: SrWork, attached: AttachedSr, vdi: VdiUuid): Promise<void> {
  work.waiting(`LVM to grow the volume of VDI ${vdi}`);
  const { sr, letGo } = holdDevice(work, attached);
  const { report, tree } = await undisturbed(work, sr, vdi);
  const node = tree.get(vdi);
  if (node.kind !== 'vhd') return;
  const bytes = fullVhdLvSize(node.virtualSizeBytes);
  const hasGrown = await inflate(volumesByExtents(sr), report, vdi, bytes);
  await letGo();
  if (hasGrown) await tellXapi(work, report, node, lvSize(bytes));
}

/**
 * On the SR master, under the SR's lock, for a disk that is active nowhere: to the size of its data. 'vdi-in-use' where
 * it is open here.
 */
export async function shrinkVolume(work: SrWork, attached: AttachedSr, vdi: VdiUuid): Promise<void> {
  work.waiting(`LVM to shrink the volume of VDI ${vdi}`);
  const { sr, letGo } = holdDevice(work, attached);
  const { report, tree } = await undisturbed(work, sr, vdi);
  const node = tree.get(vdi);
  if (node.kind !== 'vhd') return;
  if (node.open) throw new RbdsrError('vdi-in-use', { what: `VDI ${vdi} is open on this host` });
  const volumes = volumesByExtents(sr);
  const bytes = await deflatedSize(volumes, report, vdi);
  const hasShrunk = await deflate(volumes, report, vdi, bytes);
  await letGo();
  if (hasShrunk) await tellXapi(work, report, node, bytes);
}

/** The volume has its size by now, so a failure is a warning: the next scan tells it. */
async function tellXapi(work: SrWork, report: VgReport, node: VdiNode, bytes: number): Promise<void> {
  work.waiting(`xapi to record the new size of the volume of VDI ${node.uuid}`);
  try {
    const xapi = await work.xapi();
    await changeVdi(xapi, await vdiByUuid(xapi, node.uuid), { physicalUtilisation: bytes });
  } catch (error) {
    work.log.warn(`what VDI ${node.uuid} takes is not told to xapi before the next scan: ${messageOf(error)}`);
  }
  await noteSrTotals(work, () => ({ ...report, freeBytes: report.freeBytes - (bytes - node.lvSizeBytes) }));
}

/**
 * The disk as it is under the lock, before which another host may have changed it: read anew, whoever read it before.
 * An interrupted growing of it is undone first.
 */
async function undisturbed(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<SrNodes> {
  const found = await readDisk(work, sr, vdi);
  if (journalsOf(found.report, vdi).length === 0) return found;
  await recoverIfMaster(work, sr, found.report);
  return readDisk(work, sr, vdi);
}
