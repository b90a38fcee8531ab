import { existsSync } from 'node:fs';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { lvName, vgName } from '../../lvhd/names.ts';
import { lvPath } from '../../lvm/dm-name.ts';
import type { HeldLock } from '../../system/locks/record-lock.ts';
import { vdiByUuid, vdiRecord } from '../../xapi/vdi.ts';
import { readAttachedRecord } from '../attached-record.ts';
import { type AttachedSr, attachedSr } from '../attached-sr.ts';
import { releaseAbandonedClaim } from '../host-keys.ts';
import { krbdOf } from '../krbd-of-host.ts';
import { lateWriter } from '../late-writers.ts';
import { readDisk } from '../read-disks.ts';
import { giveBackRoom, isGivenBack } from '../vdi-room.ts';
import { dataPathOf, detachTarget } from '../vdi-target.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * Another host has found this host's mark on a disk and asks whether anything is open here. Where nothing is, what a call that was cut short has left is
 * taken down, then the mark, and the answer is "False". All of it under this host's lock of the disk, which an activation holds from before it
 * marks the disk: its mark is never taken for an old one. What cannot be told counts as open.
 *
 * The mark may have been kept because the master had not said whether it still shrinks the volume: then the master is asked first, as deactivating again
 * would ask it. Not on behalf of who holds the SR's lock there (`sr_locked`): beside that nothing shrinks, and it would wait for itself. `isReleased`: it is
 * this host that gives the disk up, so that a loss of writes which was told once keeps it no longer.
 */
export async function isOpen(call: PluginCall, { isReleased = false } = {}): Promise<string> {
  if (lateWriter(call.profile.paths, call.sr) !== undefined) return 'True';
  const lock = await freeLock(call);
  if (lock === undefined) return 'True';
  try {
    const sr = attachedHere(call);
    if (await hasUsers(call, sr)) return 'True';
    if (keepsForLoss(call, isReleased)) throw mayHaveLost(call);
    // From here on it changes something, and may be late with it itself.
    if (!(await isQuiet(call))) return 'True';
    const [leaf] = await detachTarget(call, call.sr, sr, call.vdi);
    const xapi = await call.xapi();
    const vdiRef = await vdiByUuid(xapi, call.vdi);
    const { smConfig, isASnapshot } = await vdiRecord(xapi, vdiRef);
    const isSettled = call.args['sr_locked'] === 'True' || sr === undefined || !isGivenBack(sr, isASnapshot);
    if (!isSettled && leaf !== undefined) await giveBackRoom(call, sr, leaf);
    await releaseAbandonedClaim({ ...call, subject: { ...call.subject, vdiRef } }, smConfig);
    return 'False';
  } finally {
    await lock.release();
  }
}

async function isQuiet(call: PluginCall): Promise<boolean> {
  try {
    await call.awaitLateWriters(call.sr, { wait: false });
    return true;
  } catch (error) {
    if (hasCode(error, 'lock-busy')) return false;
    throw error;
  }
}

async function freeLock(call: PluginCall): Promise<HeldLock | undefined> {
  try {
    return await call.lockVdi(call.vdi, { wait: false });
  } catch (error) {
    if (hasCode(error, 'lock-busy')) return undefined;
    throw error;
  }
}

function attachedHere(call: PluginCall): AttachedSr | undefined {
  const record = readAttachedRecord(call.profile.paths, call.sr);
  const mapping = record === undefined ? undefined : krbdOf(call).find(record.spec, record.fsid);
  return record === undefined || mapping === undefined ? undefined : attachedSr(call, call.sr, mapping, record);
}

async function hasUsers(call: PluginCall, sr: AttachedSr | undefined): Promise<boolean> {
  call.waiting(`the data path of VDI ${call.vdi}`);
  if ((await dataPathOf(call).status({ sr: call.sr, vdi: call.vdi }, call.deadline)) !== undefined) return true;
  // Without the record of the attach a volume may be active all the same.
  if (sr === undefined) return NAMES.some((kind) => existsSync(lvPath(vgName(call.sr), lvName(kind, call.vdi))));
  return (await readDisk(call, sr, call.vdi)).tree.find(call.vdi)?.open === true;
}

const NAMES = ['vhd', 'aio'] as const;

function keepsForLoss(call: PluginCall, isReleased: boolean): boolean {
  const disk = { sr: call.sr, vdi: call.vdi };
  return isReleased ? dataPathOf(call).hasUntoldLoss(disk) : dataPathOf(call).mayHaveLost(disk);
}

/** Whoever deactivates it here is told so, and nobody else in its place: its mark stays until then. */
function mayHaveLost({ vdi }: PluginCall): RbdsrError {
  return new RbdsrError('vdi-unavailable', {
    what: `what served VDI ${vdi} on this host could not write everything that it held: data may be lost`,
    expected: 'the disk deactivated here since then, and somebody who knows',
    todo: 'Check what is on the disk: start and shut down a VM with it on this host.',
  });
}
