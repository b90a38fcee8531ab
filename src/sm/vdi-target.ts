import { dirname } from 'node:path';
import { hasCode, messageOf, RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import type { DataPath, Disk } from '../datapath/datapath.ts';
import { openDataPath } from '../datapath/open-data-path.ts';
import { activateChain, type ActivationWorld, deactivateChain } from '../lvhd/chain-activation.ts';
import { openByExtents } from '../lvhd/extent-open.ts';
import { deflate, inflate } from '../lvhd/inflate.ts';
import { journalsOf } from '../lvhd/journal.ts';
import type { VdiNode } from '../lvhd/lv-table.ts';
import { RefCounts } from '../lvhd/refcount.ts';
import { deflatedLvSize, fullVhdLvSize } from '../lvhd/sizes.ts';
import { lvPath } from '../lvm/dm-name.ts';
import type { VgReport } from '../lvm/report.ts';
import { faultPoint } from '../system/fault-point.ts';
import { VhdImage } from '../vhd/image.ts';
import { callPlugin } from '../xapi/host.ts';
import { poolMaster } from '../xapi/pool.ts';
import { type AttachedSr, readNodes } from './attached-sr.ts';
import type { SmCall } from './handler.ts';

/** How long stock tries for the SR's lock while it holds a VDI's: the other order would wait for us (sm `lvhdutil.attachThin`). */
const SR_LOCK_MS = 20_000;

/** Whether something of the disk may be active on this host after a failure: then no other host may be told that it is free. */
export interface TargetState {
  held: boolean;
}

/**
 * Makes the disk usable on this host: its volumes, then its data path. After a failure what this call did is undone, the last step first.
 * The caller holds the VDI's lock. 'vdi-unavailable' | 'vdi-provision' and what LVM and the data path throw. Answers the disk's node.
 */
export async function attachTarget(
  call: SmCall,
  sr: AttachedSr,
  vdi: VdiUuid,
  options: { readonly writable: boolean; readonly grow: boolean },
  state: TargetState = { held: false },
): Promise<VdiNode> {
  call.waiting(`LVM to read ${sr.vg}`);
  const { report, tree } = await readNodes(sr);
  refuseJournalled(report, vdi);
  const chain = tree.chain(vdi);
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) throw new RbdsrError('vdi-missing', { what: `there is no VDI ${vdi} in SR ${sr.uuid}` });
  if (options.writable) await provideRoom(call, sr, leaf, options.grow);
  const world = activationWorld(call, sr);
  const wasActive = world.counts.read(vdi).binary === 1;
  state.held = wasActive;
  call.waiting(`LVM to activate ${leaf.lvName}`);
  await activateChain(world, chain);
  state.held = true;
  faultPoint('vdi-activate.after-chain');
  call.waiting(`the data path of VDI ${vdi}`);
  const disk: Disk = {
    sr: sr.uuid,
    vdi,
    kind: leaf.kind,
    target: lvPath(sr.vg, leaf.lvName),
    writable: options.writable,
    parents: ancestors.map(({ kind, lvName }) => ({ kind, path: lvPath(sr.vg, lvName) })),
    memoryPool: { name: sr.uuid },
  };
  const dataPath = dataPathOf(call);
  try {
    await dataPath.activate(disk, call.deadline);
  } catch (error) {
    // What an earlier call activated may be in use.
    if (!wasActive) await undoTarget();
    throw error;
  }
  faultPoint('vdi-activate.after-data-path');
  return leaf;

  /** Never hides what went wrong; a volume that something still holds stays, and is counted. */
  async function undoTarget(): Promise<void> {
    try {
      await dataPath.deactivate({ sr: disk.sr, vdi }, call.deadline);
      await deactivateChain(world, chain.map(asActive));
      state.held = false;
    } catch (failure) {
      call.log.warn(`VDI ${vdi} could not be put back: ${messageOf(failure)}`);
    }
  }
}

/** The reverse; where nothing is active, nothing happens. Answers the chain, leaf first; empty where the VDI is gone. */
export async function detachTarget(call: SmCall, sr: AttachedSr, vdi: VdiUuid): Promise<readonly VdiNode[]> {
  call.waiting(`the data path of VDI ${vdi} to end`);
  await dataPathOf(call).deactivate({ sr: sr.uuid, vdi }, call.deadline);
  faultPoint('vdi-deactivate.after-data-path');
  call.waiting(`LVM to read ${sr.vg}`);
  const { tree } = await readNodes(sr);
  if (tree.find(vdi) === undefined) return [];
  const chain = tree.chain(vdi);
  call.waiting(`LVM to deactivate ${chain[0]?.lvName ?? vdi}`);
  await deactivateChain(activationWorld(call, sr), chain);
  faultPoint('vdi-deactivate.after-chain');
  return chain;
}

/**
 * On the SR master, for a disk that is active nowhere: gives back what a thin disk, or a snapshot, does not use. A failure costs only room,
 * so it is a warning. Another host asks the master's plug-in for it.
 */
export async function giveBackRoom(call: SmCall, sr: AttachedSr, leaf: VdiNode): Promise<void> {
  if (leaf.kind !== 'vhd' || leaf.lvSizeBytes < fullVhdLvSize(leaf.virtualSizeBytes)) return;
  try {
    if (call.request.srMaster) await deflateHere(call, sr, leaf);
    else await askMaster(call, sr, leaf.uuid, 'deflate');
  } catch (error) {
    call.log.warn(`SR ${sr.uuid}: VDI ${leaf.uuid} keeps its full size: ${messageOf(error)}`);
  }
}

async function deflateHere(call: SmCall, sr: AttachedSr, leaf: VdiNode): Promise<void> {
  const lock = await call.lockSr(sr.uuid, { deadline: call.deadline.within(SR_LOCK_MS) });
  try {
    const { report } = await readNodes(sr);
    const openLv = openByExtents(sr.lvm, sr.openPv);
    const io = await openLv(leaf.lvName, 'read');
    let physicalSize: number;
    try {
      physicalSize = (await VhdImage.open(io, 'read')).physicalSizeBytes;
    } finally {
      await io.close();
    }
    await deflate({ lvm: sr.lvm, openLv }, report, leaf.uuid, deflatedLvSize(physicalSize));
  } finally {
    await lock.release();
  }
}

/** A guest may write every block, so the volume of a writable VHD has to hold them all. */
async function provideRoom(call: SmCall, sr: AttachedSr, leaf: VdiNode, grow: boolean): Promise<void> {
  const full = fullVhdLvSize(leaf.virtualSizeBytes);
  if (leaf.kind !== 'vhd' || leaf.lvSizeBytes >= full) return;
  try {
    if (!grow)
      throw new RbdsrError('vdi-provision', { what: 'only the pool master grows it, and xapi is not asked here' });
    if (!call.request.srMaster) {
      await askMaster(call, sr, leaf.uuid, 'inflate');
      return;
    }
    const lock = await call.lockSr(sr.uuid, { deadline: call.deadline.within(SR_LOCK_MS) });
    try {
      const { report } = await readNodes(sr);
      await inflate({ lvm: sr.lvm, openLv: openByExtents(sr.lvm, sr.openPv) }, report, leaf.uuid, full);
    } finally {
      await lock.release();
    }
  } catch (error) {
    const room = hasCode(error, 'sr-full') ? error.detail.todo : undefined;
    throw new RbdsrError('vdi-provision', {
      what: `the volume of VDI ${leaf.uuid} cannot be grown for writing: ${messageOf(error)}`,
      ...(room === undefined ? {} : { todo: room }),
      cause: error,
    });
  }
}

/** The plug-in `rbdsr` of the pool master, which alone may change LVM metadata; anything but "True" is a failure. */
async function askMaster(call: SmCall, sr: AttachedSr, vdi: VdiUuid, fn: 'inflate' | 'deflate'): Promise<void> {
  const xapi = await call.xapi();
  const master = await poolMaster(xapi);
  call.waiting(`the pool master to ${fn} VDI ${vdi} (plug-in rbdsr)`);
  const answer = await callPlugin(xapi, master, 'rbdsr', fn, { sr_uuid: sr.uuid, vdi_uuid: vdi });
  if (answer === 'True') return;
  throw new RbdsrError('vdi-provision', {
    what: `plug-in rbdsr, function ${fn}, failed on the pool master ${master}`,
    expected: 'True',
    found: JSON.stringify(answer.slice(0, 200)),
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

function activationWorld(call: SmCall, sr: AttachedSr): ActivationWorld {
  const { smRunDir, lockDir } = call.profile.paths;
  const places = { root: `${smRunDir}/refcount`, lockRoot: lockDir };
  return { lvm: sr.lvm, counts: new RefCounts(sr.uuid, { deadline: call.deadline, places }) };
}

/** Our NBD server is the bundle beside this one. */
function dataPathOf(call: SmCall): DataPath {
  return openDataPath(call.profile, [process.execPath, `${dirname(process.argv[1] ?? '')}/nbd.cjs`]);
}

function asActive(node: VdiNode): VdiNode {
  return { ...node, active: true };
}
