import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { releaseLeaf, replaceChain } from '../../lvhd/chain-replacement.ts';
import type { VdiNode } from '../../lvhd/lv-table.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { readDiskInPause } from '../read-disks.ts';
import type { SrWork } from '../work/work.ts';
import { activationWorld, dataPathOf, diskOf } from './vdi-target.ts';

/** How long it waits for an activation of the disk that is under way, ms. */
const LOCK_MS = 10_000;

/**
 * On a host that may have the disk in use. Paused already, or not in use: what is left of it is done. Its volume is
 * looked up before guests have to wait; until it is resumed nobody gives it another name but who has it paused.
 */
export async function pauseHere(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<void> {
  const lock = await work.lockVdi(vdi, { deadline: work.deadline.within(LOCK_MS) });
  try {
    const leaf = (await readDiskInPause(work, sr, vdi)).tree.find(vdi);
    work.waiting(`the data path of VDI ${vdi} to pause`);
    if (!(await dataPathOf(work).pause({ sr: sr.uuid, vdi }, work.deadline))) return;
    if (leaf === undefined) return;
    work.waiting(`LVM to deactivate ${leaf.lvName}`);
    await releaseLeaf(activationWorld(work, sr), leaf);
  } finally {
    await lock.release();
  }
}

/** The reverse: its chain as it is by now is made active, and served. Not paused, or not in use: nothing happens. */
export async function resumeHere(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<void> {
  const lock = await work.lockVdi(vdi, { deadline: work.deadline.within(LOCK_MS) });
  try {
    const dataPath = dataPathOf(work);
    const status = await dataPath.status({ sr: sr.uuid, vdi }, work.deadline);
    if (status?.paused !== true) return;
    const { tree } = await readDiskInPause(work, sr, vdi);
    const chain = tree.chain(vdi);
    refuseBase(chain[0]);
    work.waiting(`LVM to activate the volumes of VDI ${vdi}`);
    await replaceChain({ ...activationWorld(work, sr), lvm: sr.lvm }, chain);
    work.waiting(`the data path of VDI ${vdi} to go on`);
    await dataPath.resume(diskOf(sr, chain, { writable: true }), work.deadline);
  } finally {
    await lock.release();
  }
}

/** What a guest writes must never get into what other disks hang on. */
function refuseBase(leaf: VdiNode | undefined): void {
  if (leaf?.hidden !== true) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${leaf.uuid} stays paused: its volume is hidden, so that other disks may hang on it`,
    expected: 'a leaf',
    found: leaf.lvName,
    todo: 'Scan the SR, which finishes or undoes what was cut short.',
  });
}
