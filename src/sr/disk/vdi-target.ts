import { dirname } from 'node:path';
import { RbdsrError } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import type { DataPath, Disk } from '../../datapath/datapath.ts';
import { openDataPath } from '../../datapath/open-data-path.ts';
import { activateChain, type ActivationWorld, deactivateChain, forCleanUp } from '../../lvhd/chain-activation.ts';
import { diskOfPath } from '../../lvhd/disk-of-path.ts';
import { journalsOf } from '../../lvhd/journal/journal.ts';
import type { VdiNode } from '../../lvhd/lv-table.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import type { VdiTree } from '../../lvhd/tree.ts';
import { lvPath } from '../../lvm/dm-name.ts';
import type { VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { thisNode } from '../../system/this-node.ts';
import type { AttachedSr } from '../attached-sr.ts';
import type { SrWork } from '../work/work.ts';
import { readDisk } from '../read-disks.ts';
import { endTrackingBeforeWriting } from './changed-blocks.ts';
import { provideRoom } from './vdi-room.ts';

/**
 * Whether something of the disk may be active on this host after a failure: then no other host may be told that it is
 * free.
 */
export interface TargetState {
  held: boolean;
}

/**
 * Makes the disk usable on this host: its volumes, then its data path. After a failure what this call did is undone,
 * the last step first. The caller holds the VDI's lock. 'vdi-unavailable' | 'vdi-provision' and what LVM and the data
 * path throw. Answers the disk's node.
 */
export async function attachTarget(
  work: SrWork,
  sr: AttachedSr,
  vdi: VdiUuid,
  options: { readonly writable: boolean; readonly grow: boolean },
  state: TargetState = { held: false },
): Promise<VdiNode> {
  const { report, tree } = await readDisk(work, sr, vdi);
  refuseJournalled(report, vdi);
  const chain = tree.chain(vdi);
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) throw new RbdsrError('vdi-missing', { what: `there is no VDI ${vdi} in SR ${sr.uuid}` });
  refuseHidden(leaf);
  if (options.writable) {
    await endTrackingBeforeWriting(work, sr, report, vdi, options.grow);
    await provideRoom(work, sr, leaf, options.grow);
  }
  const world = activationWorld(work, sr);
  const wasActive = world.counts.read(vdi).binary === 1;
  state.held = wasActive;
  work.waiting(`LVM to activate ${leaf.lvName}`);
  await activateChain(world, chain);
  state.held = true;
  faultPoint('vdi-activate.after-chain');
  work.waiting(`the data path of VDI ${vdi}`);
  const disk: Disk = {
    sr: sr.uuid,
    vdi,
    kind: leaf.kind,
    target: lvPath(sr.vg, leaf.lvName),
    writable: options.writable,
    parents: ancestors.map(({ kind, lvName }) => ({ kind, path: lvPath(sr.vg, lvName) })),
    memoryPool: { name: sr.uuid },
  };
  const dataPath = dataPathOf(work);
  const started = performance.now();
  try {
    await dataPath.activate(disk, work.deadline);
    // What succeeds after xapi has been told that it failed would stay active for good.
    if (work.deadline.expired) throw work.deadline.exceeded(`the data path of VDI ${vdi}`, started);
  } catch (error) {
    // What an earlier call activated may be in use.
    if (wasActive) throw error;
    return undo(error, { [`the activation of VDI ${vdi}`]: putBack });
  }
  faultPoint('vdi-activate.after-data-path');
  return leaf;

  /** A volume that something still holds stays, and is counted. */
  async function putBack(): Promise<void> {
    await dataPath.deactivate({ sr: disk.sr, vdi }, work.deadline.forCleanUp());
    const [left] = await deactivateChain(forCleanUp(world), chain.map(asActive));
    state.held = false;
    if (left !== undefined) throw left.error;
  }
}

/**
 * The reverse; where nothing is active, nothing happens. Without `sr` its image is not mapped, so that there is no more
 * than a data path. Answers the chain, leaf first; empty where the VDI is gone, or not all of its chain is known.
 */
export async function detachTarget(
  work: SrWork,
  uuid: SrUuid,
  sr: AttachedSr | undefined,
  vdi: VdiUuid,
): Promise<readonly VdiNode[]> {
  work.waiting(`the data path of VDI ${vdi} to end`);
  await dataPathOf(work).deactivate({ sr: uuid, vdi }, work.deadline);
  faultPoint('vdi-deactivate.after-data-path');
  if (sr === undefined) return [];
  const { tree } = await readDisk(work, sr, vdi);
  const chain = tree.knownChain(vdi);
  const [leaf] = chain;
  if (leaf === undefined) return [];
  const whole = isWhole(work, tree, vdi, chain);
  work.waiting(`LVM to deactivate ${leaf.lvName}`);
  for (const { lvName, error } of await deactivateChain(activationWorld(work, sr), chain)) {
    work.log.warn(`VDI ${vdi} is released, and ${lvName} stays active, until the SR is detached: ${error.message}`);
  }
  faultPoint('vdi-deactivate.after-chain');
  return whole ? chain : [];
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

/** The next sr_scan removes such a volume, whoever uses it. */
function refuseHidden(leaf: VdiNode): void {
  if (!leaf.hidden) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${leaf.uuid} is hidden: it is a disk whose deletion was cut short, or the base of other disks`,
    expected: 'a disk that was not deleted',
    found: leaf.lvName,
    todo: 'Delete it again, or scan the SR, which finishes the deletion.',
  });
}

function refuseJournalled(report: VgReport, vdi: VdiUuid): void {
  const [journal] = journalsOf(report, vdi);
  if (journal === undefined) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `an operation on VDI ${vdi} was interrupted and has to be undone first`,
    found: `journal ${journal.lvName}`,
    todo: 'Scan the SR: xe sr-scan undoes what it can.',
    facts: { journal: journal.lvName },
  });
}

function activationWorld(work: SrWork, sr: AttachedSr): ActivationWorld {
  const { smRunDir, lockDir } = work.profile.paths;
  const places = { root: `${smRunDir}/refcount`, lockRoot: lockDir };
  return { lvm: sr.lvm, counts: new RefCounts(sr.uuid, { deadline: work.deadline, places }) };
}

/** Our NBD server is the bundle beside this one. */
export function dataPathOf(work: SrWork): DataPath {
  return openDataPath(work.profile, diskOfPath, [...thisNode(), `${dirname(process.argv[1] ?? '')}/nbd.cjs`]);
}

function asActive(node: VdiNode): VdiNode {
  return { ...node, active: true };
}
