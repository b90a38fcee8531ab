import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { deactivateChain } from '../../lvhd/chain-activation.ts';
import type { VdiNode } from '../../lvhd/lv-table.ts';
import { lvName } from '../../lvhd/names.ts';
import type { VdiTree } from '../../lvhd/tree.ts';
import { letUnreadGo } from '../../lvm/unread-volumes.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { StringMap } from '../../xapi/values.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { marksGo, releaseAbandonedClaim } from '../hosts/host-keys.ts';
import { isImageRefused, isRefused, unreadVolumeOf } from '../image/refused-image.ts';
import { readDisk } from '../read-disks.ts';
import type { SrWork } from '../work/work.ts';
import { giveBackRoom } from './vdi-room.ts';
import { activationWorld, dataPathOf } from './vdi-target.ts';

/**
 * The reverse of attachTarget; where nothing is active, nothing happens. Without `sr` its image is not mapped, so that
 * there is no more than a data path. Answers the chain, leaf first; empty where the VDI is gone, or not all of its
 * chain is known.
 */
export async function detachTarget(
  work: SrWork,
  uuid: SrUuid,
  sr: AttachedSr | undefined,
  vdi: VdiUuid,
): Promise<readonly VdiNode[]> {
  const detaching: Detaching = { work, uuid, sr, vdi, whole: [] };
  await runSteps(detachSteps, detaching);
  return detaching.whole;
}

/**
 * What follows, where the disk bore the mark of this host: its room, unless others may use it, then the mark. `leaf` is
 * the first of what detachTarget answered.
 */
export async function releaseMark(release: Release): Promise<void> {
  await runSteps(releaseSteps, release);
}

interface Release {
  readonly work: SrWork;
  readonly sr: AttachedSr | undefined;
  readonly leaf: VdiNode | undefined;
  readonly givesBack: boolean;
  /** xapi's record of the disk says so. */
  readonly smConfig: StringMap;
  /** Has the connection to xapi, and the time, for what must be told whatever the rest took. */
  readonly telling: () => SrWork;
}

/** The taking down of one disk. */
interface Detaching {
  readonly work: SrWork;
  readonly uuid: SrUuid;
  readonly sr: AttachedSr | undefined;
  readonly vdi: VdiUuid;
  /** Its chain, where all of it is known. */
  whole: readonly VdiNode[];
}

/** Of vdi_deactivate, and of a host that is asked for a mark that it has left. */
export const detachSteps: readonly Step<Detaching>[] = [
  step('vdi-deactivate.after-data-path', endService, {
    does: 'the data path ends, as below',
    leaves: { id: 'volumes-active-unserved', says: 'volumes that are active and counted, and the mark' },
    mendedBy: marksGo,
  }),
  step('vdi-deactivate.after-chain', deactivateVolumes, {
    does: 'the volumes of its chain are deactivated, as below',
    leaves: { id: 'mark-with-room', says: 'the mark; a thin disk has its full size' },
    mendedBy: marksGo,
    when: ({ sr }) => sr !== undefined,
  }),
];

export const releaseSteps: readonly Step<Release>[] = [
  step('vdi-deactivate.after-room', shrinkVolume, {
    does: 'a thin disk, or a snapshot, gives back what it does not use',
    leaves: { id: 'mark', says: 'the mark' },
    mendedBy: marksGo,
    when: ({ givesBack, leaf }) => givesBack && leaf !== undefined,
  }),
  lastStep(removeMark, 'the mark goes, and `activating` where a crash had left it'),
];

async function endService({ work, uuid, sr, vdi }: Detaching): Promise<void> {
  work.waiting(`the data path of VDI ${vdi} to end`);
  try {
    await dataPathOf(work).deactivate({ sr: uuid, vdi }, work.deadline);
  } catch (error) {
    const isLoss = sr !== undefined && hasCode(error, 'io') && (await isImageRefused(work, sr));
    throw isLoss ? lostToFence(sr, vdi, error) : error;
  }
}

async function deactivateVolumes(detaching: Detaching): Promise<void> {
  const { work, sr, vdi } = detaching;
  if (sr === undefined) return;
  const tree = await treeUnlessRefused(work, sr, vdi);
  if (tree === undefined) return deactivateUnread(work, sr, vdi);
  const chain = tree.knownChain(vdi);
  const [leaf] = chain;
  if (leaf === undefined) return;
  const whole = isWhole(work, tree, vdi, chain);
  work.waiting(`LVM to deactivate ${leaf.lvName}`);
  for (const { lvName, error } of await deactivateChain(activationWorld(work, sr), chain)) {
    work.log.warn(`VDI ${vdi} is released, and ${lvName} stays active, until the SR is detached: ${error.message}`);
  }
  if (whole) detaching.whole = chain;
}

async function treeUnlessRefused(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<VdiTree | undefined> {
  try {
    return (await readDisk(work, sr, vdi)).tree;
  } catch (error) {
    if (!isRefused(error)) throw error;
    work.log.warn(
      `VDI ${vdi}: the cluster answers ${sr.mapping.device} with errors, as that of a host that is fenced. Its volume is let go without LVM, which would read it; others that it hangs on stay active, until the SR is detached: ${messageOf(error)}`,
    );
    return undefined;
  }
}

/** Which other volumes it hangs on stands where nothing can be read. */
async function deactivateUnread(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<void> {
  const found = unreadVolumeOf(sr, vdi);
  if (found?.openers !== undefined) {
    throw new RbdsrError('device-busy', { what: `${found.name} is still in use on this host`, found: found.openers });
  }
  const name = found?.name ?? lvName('vhd', vdi);
  const { counts } = activationWorld(work, sr);
  const lvm = { deactivate: (): Promise<void> => letUnreadGo(sr.vg, { name }, work.deadline) };
  await deactivateChain({ lvm, counts }, [{ uuid: vdi, lvName: name, active: found !== undefined }]);
}

function lostToFence({ uuid, mapping }: AttachedSr, vdi: VdiUuid, cause: RbdsrError): RbdsrError {
  return new RbdsrError('io', {
    ...cause.detail,
    what: `the last writes of VDI ${vdi} are lost: the cluster answers ${mapping.device} with errors, as that of a host that is fenced`,
    todo: `Check what is on the disk before it is used. Deactivating again releases it, without a reboot; then unplug and plug the PBD of SR ${uuid} on this host, which maps the image anew.`,
    cause,
  });
}

/**
 * False for a disk that was damaged while it was in use: what is known of it is let go all the same, the rest when the
 * SR is detached.
 */
function isWhole(work: SrWork, tree: VdiTree, vdi: VdiUuid, known: readonly VdiNode[]): boolean {
  try {
    tree.chain(vdi);
    return true;
  } catch (error) {
    if (!(error instanceof RbdsrError)) throw error;
    const names = known.map(({ lvName }) => lvName).join(', ');
    work.log.warn(`of the chain of VDI ${vdi} only ${names} is deactivated: ${error.message}`);
    return false;
  }
}

async function shrinkVolume({ work, sr, leaf }: Release): Promise<void> {
  if (sr !== undefined && leaf !== undefined) await giveBackRoom(work, sr, leaf);
}

async function removeMark({ telling, smConfig }: Release): Promise<void> {
  await releaseAbandonedClaim(telling(), smConfig);
}
