import { hasCode, RbdsrError } from '../base/error.ts';
import type { BlockIo } from '../base/block-io.ts';
import { settled } from '../base/settle.ts';
import type { VdiUuid } from '../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import { undo } from '../base/undo.ts';
import { formatBytes } from '../base/units.ts';
import type { JournalEntry } from '../lvhd/journal/journal.ts';
import { createJournal, removeJournal } from '../lvhd/journal/journals.ts';
import { sizeNote } from '../lvhd/journal/size-note.ts';
import { openVhd } from '../lvhd/open-vhd.ts';
import { inflate } from '../lvhd/ops/inflate.ts';
import { setHidden } from '../lvhd/ops/new-base.ts';
import { type LeafMerge, recoverLeaf, takeOverSteps } from '../lvhd/ops/recover-leaf.ts';
import { lvNamed, type VgReport } from '../lvm/report.ts';
import { runSteps } from '../system/running-steps.ts';
import { mergeIntoParent } from '../vhd/chain/merge.ts';
import { checkVhd } from '../vhd/check/check.ts';
import { leafPairNow, type Pair } from './pair.ts';
import { roomOfPair } from './pair-room.ts';
import { FOLDED_AT_ONCE_BYTES, type MergeRoom } from './room.ts';
import type { CollectorWorld } from './world.ts';

/** The merging of one leaf, under one lock of the SR. */
interface Folding extends LeafMerge {
  readonly world: CollectorWorld;
  readonly pair: Pair;
  readonly room: MergeRoom;
  /** Before anything was done. */
  readonly report: VgReport;
  journal?: JournalEntry;
  /** Whether a host has the disk, or is about to: then nothing happens. */
  isUsed: boolean;
}

/**
 * Makes a disk that no host has, and the hidden parent on which nothing else hangs, one volume: the parent gets what
 * the leaf has, then its name (sm `cleanup.py`, `_doCoalesceLeaf`). The leaf is removed before that and not after it:
 * with both there stock's recovery would lose what the parent has. False where a host has the disk, or is about to.
 * 'vdi-unavailable' where a host does not say that it has let both volumes go, 'sr-full' before anything is written.
 */
export async function foldLeaf(world: CollectorWorld, leaf: VdiUuid, into: VdiUuid): Promise<boolean> {
  await world.othersRest(leaf);
  return world.locked(async ({ report, forest }) => {
    const pair = leafPairNow(forest, leaf, into);
    const room = await roomOfPair(world, pair);
    refuseWithoutRoom(report, pair, room);
    await refuseDamaged(world, pair);
    const sizeBefore = pair.node.lvSizeBytes;
    const folding: Folding = {
      world,
      volumes: world,
      leaf,
      parent: into,
      pair,
      room,
      report,
      sizeBefore,
      isUsed: false,
    };
    try {
      await runSteps(holdLeafSteps, folding);
      if (folding.isUsed) return false;
      await runSteps([...foldSteps, ...takeOverSteps, ...foldEndSteps], folding);
    } catch (error) {
      return undo(error, {
        'what was begun of the merging': () => takeBack(folding),
        'what keeps the disk from use': () => letGoAfter(folding),
      });
    }
    return true;
  });
}

const free: Mending = { by: ['sr_scan', 'again'], says: 'the next sr_scan, or the next collection' };
const undone: Mending = {
  by: ['sr_scan', 'again'],
  says: 'the next command on the SR master that changes metadata undoes it',
};
const finished: Mending = {
  by: ['sr_scan', 'again'],
  says: 'the next command on the SR master that changes metadata finishes it',
};
const scanned: Mending = { by: ['sr_scan'], says: 'sr_scan tells xapi' };

export const holdLeafSteps: readonly Step<Folding>[] = [
  step('fold.held', hold, {
    does: 'the disk is kept from coming into use: `paused` in VDI.sm_config',
    leaves: { id: 'leaf-held', says: 'that key; nothing else has changed' },
    mendedBy: free,
  }),
];

export const foldSteps: readonly Step<Folding>[] = [
  step('fold.released', release, {
    does: 'every host that has the SR lets the volumes of the leaf and of its parent go',
    leaves: { id: 'leaf-held', says: 'the same' },
    mendedBy: free,
  }),
  step('fold.noted', note, {
    does: 'journal LV `leaf_<vdi>_1`, which says the uuid of the parent, and the size of the leaf',
    leaves: { id: 'fold-noted', says: 'the journal; no volume has changed' },
    mendedBy: undone,
  }),
  step('fold.grown', growParent, {
    does: "the parent's volume grows by what it lacks, as above, with a journal of its own",
    leaves: { id: 'fold-grown', says: 'the same, and a parent with more room than it uses' },
    mendedBy: undone,
  }),
  step('fold.copied', copy, {
    does: 'what the leaf has is written into the parent, which is checked',
    leaves: { id: 'fold-copied', says: 'the same; the parent has what the leaf has' },
    mendedBy: undone,
  }),
  step('fold.shown', showParent, {
    does: 'the parent is made writable, and hidden no more',
    leaves: { id: 'fold-shown', says: 'two volumes that show the same, and the journal' },
    mendedBy: undone,
  }),
  step('fold.removed', removeLeaf, {
    does: '`lvremove` of the leaf',
    leaves: { id: 'fold-removed', says: 'the disk under the name of the parent, and the journal' },
    mendedBy: finished,
  }),
];

/** After the parent has taken the leaf's name (src/lvhd/ops/recover-leaf.ts). */
export const foldEndSteps: readonly Step<Folding>[] = [
  step('fold.journal-removed', forgetFolding, {
    does: 'the journal is removed',
    leaves: { id: 'folded-held', says: 'the disk in its new volume, which nobody may use' },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan, which tells xapi' },
  }),
  step('fold.let-go', ({ world, leaf }) => world.letLeafGo(leaf), {
    does: '`paused` goes',
    leaves: { id: 'folded', says: 'a disk of which xapi says that it hangs on the parent' },
    mendedBy: scanned,
  }),
  step('fold.metadata', ({ world, parent }) => world.forgetMetadata(parent), {
    does: "the parent's record in the metadata volume is deleted",
    leaves: { id: 'parent-unlisted', says: 'the same' },
    mendedBy: scanned,
  }),
  step('fold.forgotten', ({ world, parent }) => world.forgetRecord(parent), {
    does: "the parent's record in xapi is removed",
    leaves: { id: 'parent-forgotten', says: 'a disk of which xapi says that it hangs on nothing that it knows' },
    mendedBy: scanned,
  }),
  lastStep(({ world, pair }) => world.recordFolded(pair), "the disk's records say what it is, and what it hangs on"),
];

async function hold(folding: Folding): Promise<void> {
  folding.isUsed = !(await folding.world.holdLeaf(folding.leaf));
}

/** Nobody begins to use them by now; what has them active is left from an earlier time. */
async function release({ world, leaf, parent }: Folding): Promise<void> {
  try {
    await settled([world.releasedSoon(leaf), world.releasedSoon(parent)]);
  } catch (error) {
    if (!hasCode(error, 'lock-busy')) throw error;
    // Not the lock of the SR is what is busy: it would be taken again and again, with the disk kept from use.
    throw new RbdsrError('vdi-unavailable', { ...error.detail, cause: error });
  }
}

async function note(folding: Folding): Promise<void> {
  const { world, report, leaf, parent, pair } = folding;
  folding.journal = await createJournal(world.lvm, report, world.openLv, {
    type: 'leaf',
    id: leaf,
    value: parent,
    note: sizeNote(parent, pair.node.lvSizeBytes),
  });
}

async function growParent({ world, report, parent, room }: Folding): Promise<void> {
  if (room.growsByBytes > 0) await inflate(world, report, parent, room.parentLvSizeBytes);
}

async function copy(folding: Folding): Promise<void> {
  const { world, pair } = folding;
  const ios: BlockIo[] = [];
  try {
    const childIo = await world.openLv(pair.node.lvName, 'read');
    ios.push(childIo);
    const parentIo = await world.openLv(pair.into.lvName, 'write');
    ios.push(parentIo);
    const child = await openVhd(childIo, 'read');
    const raw = { io: parentIo, virtualSizeBytes: parentIo.size };
    const parent = pair.into.kind === 'aio' ? raw : await openVhd(parentIo, 'write');
    if (!(await mergeIntoParent(child, parent, { goesOn: () => world.mayWrite() }))) throw stopped(folding);
    // Closes its io as well, which is closed once more below: that does nothing.
    if ('close' in parent) await parent.close();
  } finally {
    await settled(ios.map((io) => io.close()));
  }
  // Before the leaf goes: nothing else has what it has.
  await refuseDamaged(world, pair);
}

/** As stock does before and after: what is written into a damaged VHD may get over what it has. */
async function refuseDamaged({ openLv }: CollectorWorld, { node, into }: Pair): Promise<void> {
  for (const { kind, lvName } of [node, into]) {
    if (kind === 'aio') continue;
    const io = await openLv(lvName, 'read');
    try {
      const found = (await checkVhd(io, { endFooterOptional: true })).find(({ severity }) => severity === 'error');
      if (found === undefined) continue;
      throw new RbdsrError('vhd-corrupt', {
        what: `VDI ${node.uuid} is not merged into its parent: ${lvName} is damaged`,
        found: found.message,
      });
    } finally {
      await io.close();
    }
  }
}

async function showParent(folding: Folding): Promise<void> {
  await mustGoOn(folding);
  const { world, pair, report } = folding;
  const { lvName } = pair.into;
  if (lvNamed(report, lvName)?.readOnly === true) await world.lvm.setPermission(lvName, 'rw');
  await setHidden(world, (await world.lvm.report()) ?? report, pair.into, false);
}

async function removeLeaf(folding: Folding): Promise<void> {
  await mustGoOn(folding);
  await folding.world.lvm.removeLv(folding.pair.node.lvName);
}

/**
 * The copying may have waited for the cluster, and a new master may have undone all of this meanwhile: then the leaf is
 * in use again, and has what the parent has not.
 */
async function mustGoOn(folding: Folding): Promise<void> {
  const { world, journal } = folding;
  const now = await world.lvm.report();
  const isNoted = journal !== undefined && lvNamed(now, journal.lvName) !== undefined;
  if (!isNoted || !(await world.mayWrite())) throw stopped(folding);
}

async function forgetFolding({ world, journal }: Folding): Promise<void> {
  if (journal !== undefined) await removeJournal(world.lvm, journal);
}

/** As a command that finds the journal would; that of a new master will. */
async function takeBack({ world, journal, report }: Folding): Promise<void> {
  if (journal === undefined) return;
  if (!(await world.isMaster())) {
    throw new RbdsrError('not-master', { what: 'it is left to the new master', found: journal.lvName });
  }
  const lvm = world.lvm.forCleanUp();
  const now = (await lvm.report()) ?? report;
  if (lvNamed(now, journal.lvName) === undefined) return;
  await recoverLeaf({ lvm, openLv: world.openLv }, now, journal);
  await removeJournal(lvm, journal);
}

/** Not while the journal is there: what recovers it would take what a guest writes from here on. */
async function letGoAfter({ world, journal, leaf, isUsed }: Folding): Promise<void> {
  if (isUsed) return;
  const now = await world.lvm.forCleanUp().report();
  if (journal === undefined || lvNamed(now, journal.lvName) === undefined) return world.letLeafGo(leaf);
  throw new RbdsrError('journal', { what: 'it is kept while its journal is there', found: journal.lvName });
}

function refuseWithoutRoom(report: VgReport, { node }: Pair, room: MergeRoom): void {
  if (room.copiesBytes > FOLDED_AT_ONCE_BYTES) {
    throw new RbdsrError('vdi-unavailable', {
      what: `VDI ${node.uuid} holds more by now than is merged while nobody can use it`,
      expected: `at most ${formatBytes(FOLDED_AT_ONCE_BYTES)}`,
      found: formatBytes(room.copiesBytes),
      todo: 'The next collection makes a base of it first.',
    });
  }
  if (report.freeBytes >= room.neededBytes) return;
  throw new RbdsrError('sr-full', {
    what: `there is no room for the merging of VDI ${node.uuid}`,
    expected: `${formatBytes(room.neededBytes)} free in ${report.name}`,
    found: formatBytes(report.freeBytes),
  });
}

function stopped({ leaf }: Folding): RbdsrError {
  return new RbdsrError('vdi-unavailable', {
    what: `the merging of VDI ${leaf} has stopped`,
    expected: 'this host to be the master of the pool, with the SR plugged, and nobody who asks for an end',
    todo: 'The next collection begins it anew.',
  });
}
