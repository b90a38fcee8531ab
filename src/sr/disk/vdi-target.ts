import { dirname } from 'node:path';
import { nowMs } from '../../base/now.ts';
import { RbdsrError } from '../../base/error.ts';
import { type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import type { VdiUuid } from '../../base/ids.ts';
import type { DataPath, Disk } from '../../datapath/datapath.ts';
import { openDataPath } from '../../datapath/open-data-path.ts';
import { activateChain, type ActivationWorld, deactivateChain, forCleanUp } from '../../lvhd/chain-activation.ts';
import { diskOfPath } from '../../lvhd/disk-of-path.ts';
import { journalsOf } from '../../lvhd/journal/journal.ts';
import type { DrivenVdi, VdiNode } from '../../lvhd/lv-table.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { lvPath } from '../../lvm/dm-name.ts';
import type { VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { thisNode } from '../../system/this-node.ts';
import type { AttachedSr } from '../attached-sr.ts';
import type { SrWork } from '../work/work.ts';
import { marksGo } from '../hosts/host-keys.ts';
import { readDisk } from '../read-disks.ts';
import { endTrackingBeforeWriting } from './changed-blocks.ts';
import { lacksRoom, provideRoom } from './vdi-room.ts';

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
  options: Pick<Attaching, 'writable' | 'grow' | 'confirm'>,
  state: TargetState = { held: false },
): Promise<VdiNode> {
  const { report, tree } = await readDisk(work, sr, vdi);
  refuseJournalled(report, vdi);
  const chain = tree.chain(vdi);
  const [leaf] = chain;
  if (leaf === undefined) throw new RbdsrError('vdi-missing', { what: `there is no VDI ${vdi} in SR ${sr.uuid}` });
  refuseHidden(leaf);
  if (options.writable) await endTrackingBeforeWriting(work, sr, report, vdi, options.grow);
  const world = activationWorld(work, sr);
  await runSteps(targetSteps, { work, sr, leaf, chain, world, ...options, state, wasActive: false });
  return leaf;
}

/** The making usable of one disk. */
interface Attaching {
  readonly work: SrWork;
  readonly sr: AttachedSr;
  readonly leaf: DrivenVdi;
  /** The leaf first. */
  readonly chain: readonly DrivenVdi[];
  readonly world: ActivationWorld;
  readonly writable: boolean;
  /** Whether the volume may grow. */
  readonly grow: boolean;
  /** Once the disk can be used: whether it may be; a failure of it undoes the rest. */
  readonly confirm?: () => Promise<void>;
  readonly state: TargetState;
  /** By an earlier call, so that it may be in use. */
  wasActive: boolean;
}

/** Of vdi_activate, after the mark (src/sr/hosts/host-keys.ts); all of them find what is done already. */
export const targetSteps: readonly Step<Attaching>[] = [
  step('vdi-activate.after-room', makeRoom, {
    does: 'the volume of a thin disk, or of a snapshot, that is to be written grows, as above',
    leaves: { id: 'marked-with-room', says: 'the same, and a volume of full size' },
    mendedBy: marksGo,
    when: ({ leaf, writable }) => writable && lacksRoom(leaf),
  }),
  step('vdi-activate.after-chain', activateVolumes, {
    does: 'the volumes of its chain are activated, as below',
    leaves: { id: 'volumes-active', says: 'the same, and volumes that are active and counted' },
    mendedBy: marksGo,
  }),
  step('vdi-activate.after-data-path', serve, {
    does: 'the data path, as below',
    leaves: { id: 'in-use', says: 'a disk in use, but for `activating`' },
    mendedBy: { by: ['vdi_activate', 'vdi_deactivate'], says: 'activating or deactivating' },
  }),
];

async function makeRoom({ work, sr, leaf, grow }: Attaching): Promise<void> {
  await provideRoom(work, sr, leaf, grow);
}

async function activateVolumes(attaching: Attaching): Promise<void> {
  const { work, world, leaf, chain, state } = attaching;
  attaching.wasActive = world.counts.read(leaf.uuid).binary === 1;
  state.held = attaching.wasActive;
  work.waiting(`LVM to activate ${leaf.lvName}`);
  await activateChain(world, chain);
  state.held = true;
}

async function serve(attaching: Attaching): Promise<void> {
  const { work, sr, leaf, chain, world, wasActive, state } = attaching;
  const vdi = leaf.uuid;
  work.waiting(`the data path of VDI ${vdi}`);
  const dataPath = dataPathOf(work);
  const started = nowMs();
  try {
    await dataPath.activate(diskOf(sr, chain, attaching), work.deadline);
    // What succeeds after xapi has been told that it failed would stay active for good.
    if (work.deadline.expired) throw work.deadline.exceeded(`the data path of VDI ${vdi}`, started);
    await attaching.confirm?.();
  } catch (error) {
    // What an earlier call activated may be in use.
    if (wasActive) throw error;
    return undo(error, { [`the activation of VDI ${vdi}`]: putBack });
  }

  /** A volume that something still holds stays, and is counted. */
  async function putBack(): Promise<void> {
    await dataPath.deactivate({ sr: sr.uuid, vdi }, work.deadline.forCleanUp());
    const [left] = await deactivateChain(forCleanUp(world), chain.map(asActive));
    state.held = false;
    if (left !== undefined) throw left.error;
  }
}

/** What a data path is told of a chain, leaf first. */
export function diskOf(
  sr: AttachedSr,
  [leaf, ...ancestors]: readonly DrivenVdi[],
  { writable }: { readonly writable: boolean },
): Disk {
  if (leaf === undefined) throw new RbdsrError('internal', { what: 'a chain without a leaf' });
  return {
    sr: sr.uuid,
    vdi: leaf.uuid,
    kind: leaf.kind,
    target: lvPath(sr.vg, leaf.lvName),
    writable,
    parents: ancestors.map(({ kind, lvName }) => ({ kind, path: lvPath(sr.vg, lvName) })),
    memoryPool: { name: sr.uuid },
  };
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

export function activationWorld(work: SrWork, sr: AttachedSr): ActivationWorld {
  return { lvm: sr.lvm, counts: RefCounts.ofHost(work.profile.paths, sr.uuid, work.deadline) };
}

/** Our NBD server is the bundle beside this one. */
export function dataPathOf(work: SrWork): DataPath {
  return openDataPath(work.profile, diskOfPath, [...thisNode(), `${dirname(process.argv[1] ?? '')}/nbd.cjs`]);
}

function asActive(node: VdiNode): VdiNode {
  return { ...node, active: true };
}
