import type { VdiUuid } from '../base/ids.ts';
import { settled } from '../base/settle.ts';
import type { AttachedSr } from '../sr/attached-sr.ts';
import { PAUSED, type PausedDisk, pauseEverywhere, resumeEverywhere } from '../sr/disk/paused.ts';
import { activeHosts, BELIEVED_MS } from '../sr/hosts/host-keys.ts';
import { RELINKING } from '../sr/hosts/relinking-keys.ts';
import { undoWork } from '../sr/work/work-until.ts';
import type { SrWork } from '../sr/work/work.ts';
import { isGone } from '../xapi/failure.ts';
import { allHosts } from '../xapi/host.ts';
import { addMapKey, removeMapKey } from '../xapi/map-keys.ts';
import { isPluggedIn, vdiByUuid, type VdiRecord, vdiSmConfig } from '../xapi/vdi.ts';
import type { StringMap } from '../xapi/values.ts';

const MAP = 'VDI.sm_config';
const ACTIVATING = 'activating';

/** The hosts that have disks in use by xapi's records, or are about to: their names, by disk. */
export async function disksInUse(
  work: SrWork,
  records: readonly VdiRecord[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const used = records.filter(({ smConfig }) => isInUse(smConfig));
  if (used.length === 0) return new Map();
  const names = new Map((await allHosts(await work.xapi())).map(({ ref, nameLabel }) => [ref, nameLabel]));
  return new Map(
    used.map(({ uuid, smConfig }) => {
      const hosts = activeHosts(smConfig).map((ref) => names.get(ref) ?? ref);
      return [uuid, hosts.length === 0 ? ['a host that is about to use it'] : hosts];
    }),
  );
}

/**
 * A host that wants to use one of the disks waits from now on, and one that has begun to is seen: it marks the disk
 * before it looks for our key, and we look for its mark behind ours. Those that are in use are paused, on every host.
 * False, and no key is left, where one is about to be: `activating` names no host to be told.
 */
export async function holdBack(
  work: SrWork,
  sr: AttachedSr,
  disks: readonly VdiUuid[],
  waitedMs: number,
): Promise<boolean> {
  // Hosts that know no such key wait for none.
  if (!work.profile.activatingKey) return false;
  const xapi = await work.xapi();
  const found = await recordsOf(work, disks);
  for (const { ref } of found) await addMapKey(xapi, MAP, ref, RELINKING, 'True');
  const used: PausedDisk[] = [];
  for (const disk of found) {
    const smConfig = await vdiSmConfig(xapi, disk.ref);
    if (Object.hasOwn(smConfig, ACTIVATING) && waitedMs <= BELIEVED_MS) {
      await letGo(work, disks);
      return false;
    }
    if (activeHosts(smConfig).length > 0) used.push(disk);
  }
  await settled(used.map((disk) => pauseEverywhere(work, sr, disk)));
  return true;
}

/** Also after a failure, and when time is over: whoever pauses a guest has it go on, whichever host fails. */
export async function goOn(work: SrWork, sr: AttachedSr, disks: readonly VdiUuid[]): Promise<void> {
  const undoing = undoWork(work);
  const xapi = await undoing.xapi();
  const paused: PausedDisk[] = [];
  for (const disk of await recordsOf(undoing, disks))
    if (Object.hasOwn(await vdiSmConfig(xapi, disk.ref), PAUSED)) paused.push(disk);
  await settled(paused.map((disk) => resumeEverywhere(undoing, sr, disk)));
}

export async function letGo(work: SrWork, disks: readonly VdiUuid[]): Promise<void> {
  const undoing = undoWork(work);
  const xapi = await undoing.xapi();
  for (const { ref } of await recordsOf(undoing, disks)) await removeMapKey(xapi, MAP, ref, RELINKING);
}

/** Of one that no host has; on hosts of every version. False, and no key is left, where one has it, or is about to. */
export async function holdUnused(work: SrWork, disk: VdiUuid): Promise<boolean> {
  const xapi = await work.xapi();
  for (const { ref } of await recordsOf(work, [disk])) {
    // One that is there already is of a disk whose guest waits.
    if (!(await addMapKey(xapi, MAP, ref, PAUSED, 'true'))) return false;
    // A host marks the disk before it looks for our key: whoever is not seen by now waits for it.
    if (!isInUse(await vdiSmConfig(xapi, ref)) && !(await isPluggedIn(xapi, ref))) continue;
    await removeMapKey(xapi, MAP, ref, PAUSED);
    return false;
  }
  return true;
}

export async function freeUnused(work: SrWork, disk: VdiUuid): Promise<void> {
  const undoing = undoWork(work);
  const xapi = await undoing.xapi();
  for (const { ref } of await recordsOf(undoing, [disk])) await removeMapKey(xapi, MAP, ref, PAUSED);
}

function isInUse(smConfig: StringMap): boolean {
  return activeHosts(smConfig).length > 0 || Object.hasOwn(smConfig, ACTIVATING);
}

/** A disk that xapi does not know nobody can use. */
async function recordsOf(work: SrWork, disks: readonly VdiUuid[]): Promise<readonly PausedDisk[]> {
  const xapi = await work.xapi();
  const found: PausedDisk[] = [];
  for (const vdi of disks) {
    try {
      found.push({ vdi, ref: await vdiByUuid(xapi, vdi) });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return found;
}
