import { existsSync } from 'node:fs';
import { hasCode, RbdsrError } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import { lvName, vgName } from '../../lvhd/names.ts';
import { lvPath } from '../../lvm/dm-name.ts';
import type { HeldLock } from '../../system/locks/record-lock.ts';
import { vdiByUuid, vdiRecord } from '../../xapi/vdi.ts';
import { type AttachedSr, attachedSr } from '../attached-sr.ts';
import { notedSr } from '../open-attached-sr.ts';
import { lateWriter } from '../work/late-writers.ts';
import { isRefused, unreadVolumeOf } from '../image/refused-image.ts';
import { readDisk } from '../read-disks.ts';
import { isGivenBack } from '../disk/vdi-room.ts';
import { detachTarget, releaseMark } from '../disk/let-go.ts';
import { dataPathOf } from '../disk/vdi-target.ts';
import type { SrWork } from '../work/work.ts';

/** A disk that bears the mark of this host. */
export interface MarkedDisk {
  readonly sr: SrUuid;
  readonly vdi: VdiUuid;
}

export interface GiveUpOptions {
  /**
   * Whoever asks holds the SR's lock on the master: beside that nothing shrinks there, and asking would wait for
   * itself.
   */
  readonly srLocked?: boolean;
  /** It is this host that gives the disk up, so that a loss of writes which was told once keeps it no longer. */
  readonly isReleased?: boolean;
}

/**
 * True where nothing has the disk open on this host: then what a call that was cut short has left is taken down, and
 * the mark goes. All of it under this host's lock of the disk, which an activation holds from before it marks the disk:
 * its mark is never taken for an old one. What cannot be told counts as open.
 *
 * The mark may have been kept because the master had not said whether it still shrinks the volume: then the master is
 * asked first, as deactivating again would ask it.
 */
export async function giveUpMark(
  work: SrWork,
  { sr: uuid, vdi }: MarkedDisk,
  { srLocked = false, isReleased = false }: GiveUpOptions = {},
): Promise<boolean> {
  if (lateWriter(work.profile.paths, uuid) !== undefined) return false;
  const lock = await unlessBusy<HeldLock>(() => work.lockVdi(vdi, { wait: false }));
  if (lock === undefined) return false;
  try {
    const sr = attachedHere(work, uuid);
    if (await hasUsers(work, { sr: uuid, vdi }, sr)) return false;
    const dataPath = dataPathOf(work);
    const disk = { sr: uuid, vdi };
    if (isReleased ? dataPath.hasUntoldLoss(disk) : dataPath.mayHaveLost(disk)) throw mayHaveLost(vdi);
    // From here on it changes something, and may be late with it itself.
    const isQuiet = await unlessBusy(async () => {
      await work.awaitLateWriters(uuid, { wait: false });
      return true;
    });
    if (isQuiet === undefined) return false;
    // LVM is asked again: an earlier call that was late may have changed what is active since the first look.
    const [leaf] = await detachTarget(work, uuid, sr, vdi);
    const xapi = await work.xapi();
    const vdiRef = await vdiByUuid(xapi, vdi);
    const { smConfig, isASnapshot } = await vdiRecord(xapi, vdiRef);
    const givesBack = !srLocked && sr !== undefined && isGivenBack(sr, isASnapshot);
    const telling = (): SrWork => ({ ...work, subject: { ...work.subject, vdiRef } });
    await releaseMark({ work, sr, leaf, givesBack, smConfig, telling });
    return true;
  } finally {
    await lock.release();
  }
}

async function unlessBusy<T>(take: () => Promise<T>): Promise<T | undefined> {
  try {
    return await take();
  } catch (error) {
    if (hasCode(error, 'lock-busy')) return undefined;
    throw error;
  }
}

function attachedHere(work: SrWork, uuid: SrUuid): AttachedSr | undefined {
  const noted = notedSr(work, uuid);
  return noted?.mapping === undefined ? undefined : attachedSr(work, uuid, noted.mapping, noted.record);
}

async function hasUsers(work: SrWork, disk: MarkedDisk, sr: AttachedSr | undefined): Promise<boolean> {
  const { vdi } = disk;
  work.waiting(`the data path of VDI ${vdi}`);
  if ((await dataPathOf(work).status(disk, work.deadline)) !== undefined) return true;
  // Without the record of the attach a volume may be active all the same.
  if (sr === undefined) return NAMES.some((kind) => existsSync(lvPath(vgName(disk.sr), lvName(kind, vdi))));
  try {
    const node = (await readDisk(work, sr, vdi)).tree.find(vdi);
    // Whether another driver has its own disk in use cannot be told from here.
    return node?.kind === 'foreign' || node?.open === true;
  } catch (error) {
    // A fenced host reads nothing any more, and need not.
    if (isRefused(error)) return unreadVolumeOf(sr, vdi)?.openers !== undefined;
    throw error;
  }
}

const NAMES = ['vhd', 'aio'] as const;

/** Whoever deactivates it here is told so, and nobody else in its place: its mark stays until then. */
function mayHaveLost(vdi: VdiUuid): RbdsrError {
  return new RbdsrError('vdi-unavailable', {
    what: `what served VDI ${vdi} on this host could not write everything that it held: data may be lost`,
    expected: 'the disk deactivated here since then, and somebody who knows',
    todo: 'Check what is on the disk: start and shut down a VM with it on this host.',
  });
}
