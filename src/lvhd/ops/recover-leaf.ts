import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { lvNamed, type VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { type JournalEntry, readJournalNote, readJournalValue } from '../journal/journal.ts';
import { leafParent } from '../journal/leaf-journal.ts';
import { sizeNoted } from '../journal/size-note.ts';
import { lvName, oldLvName } from '../names.ts';
import { withVhd } from '../open-vhd.ts';
import { fullVhdLvSize, SMALL_LV_SIZE } from '../sizes.ts';
import type { RecoveredVolumes, Volumes } from '../volumes.ts';
import { inflate } from './inflate.ts';
import { setHidden, shrinkBase, volumeOf } from './new-base.ts';

/** The merging of a leaf into its parent that a journal notes down. */
export interface LeafMerge {
  readonly volumes: Volumes;
  readonly leaf: VdiUuid;
  readonly parent: VdiUuid;
  /** Bytes that the volume of the leaf had; undefined where the journal is stock's. */
  readonly sizeBefore: number | undefined;
  /** Whether nobody else may write to the parent any more; absent where that is known. */
  readonly othersRest?: () => Promise<boolean>;
}

/**
 * Undoes the merging of a leaf that was cut short, or finishes it, whoever had begun it (sm `cleanup.py`,
 * `_handleInterruptedCoalesceLeaf`): undone as long as the leaf is there, set aside or not, for it shows the same in
 * each state; finished where the parent has taken its name. Stock sets a leaf aside before that; ours removes it,
 * once the parent has all, which the note in its journal says. Answers the volume that hosts may have an old table of.
 */
export async function recoverLeaf(
  volumes: RecoveredVolumes,
  report: VgReport,
  entry: JournalEntry,
): Promise<readonly string[]> {
  const read = (name: string) => volumes.openLv(name, 'read', lvNamed(report, name));
  const parent = leafParent(entry, await readJournalValue(entry, read));
  const sizeBefore = sizeNoted(await readJournalNote(entry, read), parent);
  const othersRest = async (): Promise<boolean> => (await volumes.othersRest?.(parent)) ?? true;
  const merge: LeafMerge = { volumes, leaf: entry.id, parent, sizeBefore, othersRest };
  const isThere = {
    leaf: volumeOf(report, entry.id) !== undefined,
    aside: lvNamed(report, oldLvName('vhd', entry.id)) !== undefined,
    parent: volumeOf(report, parent) !== undefined,
  };
  if (isThere.aside || (isThere.leaf && isThere.parent)) await runSteps(undoLeafSteps, merge);
  else if (isThere.leaf || (isThere.parent && sizeBefore !== undefined)) await runSteps(finishLeafSteps, merge);
  else throw nothingLeft(entry, parent);
  const now = volumeOf(await reportNow(merge), entry.id);
  return now === undefined ? [] : [now.lvName];
}

const goesOn: Mending = {
  by: ['sr_scan'],
  says: 'the next command on the SR master that changes metadata goes on',
};

export const undoLeafSteps: readonly Step<LeafMerge>[] = [
  step('undo-leaf.parent-named', nameParentBack, {
    does: 'the parent gets its name back, where it has that of the leaf',
    leaves: { id: 'leaf-aside', says: 'a leaf that is set aside, on its parent' },
    mendedBy: goesOn,
  }),
  step('undo-leaf.leaf-named', nameLeafBack, {
    does: 'the leaf gets its name back, where it was set aside',
    leaves: { id: 'leaf-named', says: 'both under their names; the one may be hidden, the other not' },
    mendedBy: goesOn,
  }),
  step('undo-leaf.leaf-shown', showLeaf, {
    does: 'it is hidden no more',
    leaves: { id: 'leaf-shown', says: 'a leaf on a parent that may not say that it is one' },
    mendedBy: goesOn,
  }),
  step('undo-leaf.parent-hidden', hideParent, {
    does: 'the parent is hidden',
    leaves: { id: 'parent-hidden', says: 'a leaf on a hidden parent, which may be larger than it needs' },
    mendedBy: goesOn,
  }),
  step('undo-leaf.parent-shrunk', shrinkParent, {
    does: 'the parent gives back what it does not use, as above, unless a collector of another host may still write there',
    leaves: { id: 'parent-shrunk', says: 'the same, with a parent that is as large as it needs' },
    mendedBy: goesOn,
  }),
  step('undo-leaf.resized', growLeaf, {
    does: 'a leaf that stock has shrunk gets its full size, by the steps of growing, where there is room: else activating it for writing does',
    leaves: { id: 'leaf-resized', says: 'the same, with a leaf that a guest can write to' },
    mendedBy: goesOn,
  }),
  lastStep(makeParentReadOnly, 'the parent is made read-only; the journal is removed'),
];

/** Once nothing is left of the leaf but the parent, which has all that it had. */
export const takeOverSteps: readonly Step<LeafMerge>[] = [
  step('finish-leaf.named', nameParent, {
    does: 'the parent gets the name of the leaf, where it has it not yet',
    leaves: { id: 'taken-over', says: 'the disk in its new volume, and the journal' },
    mendedBy: goesOn,
  }),
  step('finish-leaf.resized', resizeDisk, {
    does: 'it gets its full size where the leaf had that, or stock has begun it, and there is room; else it gives back what it does not use',
    leaves: { id: 'taken-over-resized', says: 'the same, as large as the leaf was' },
    mendedBy: goesOn,
  }),
];

export const finishLeafSteps: readonly Step<LeafMerge>[] = [
  ...takeOverSteps,
  lastStep(makeDisk, 'it is made writable, and hidden no more; the journal is removed'),
];

async function nameParentBack(merge: LeafMerge): Promise<void> {
  const { volumes, leaf, parent } = merge;
  const report = await reportNow(merge);
  if (volumeOf(report, parent) !== undefined) return;
  const named = volumeOf(report, leaf);
  if (named !== undefined) await volumes.lvm.renameLv(named.lvName, lvName(named.kind, parent));
}

async function nameLeafBack(merge: LeafMerge): Promise<void> {
  const { volumes, leaf } = merge;
  const aside = oldLvName('vhd', leaf);
  if (lvNamed(await reportNow(merge), aside) !== undefined) await volumes.lvm.renameLv(aside, lvName('vhd', leaf));
}

async function showLeaf(merge: LeafMerge): Promise<void> {
  await setHidden(merge.volumes, await reportNow(merge), leafOf(merge), false);
}

async function hideParent(merge: LeafMerge): Promise<void> {
  const report = await reportNow(merge);
  const parent = volumeOf(report, merge.parent);
  if (parent !== undefined) await setHidden(merge.volumes, report, parent, true);
}

/** What a former master still writes, once the cluster answers it again, would be written into another disk. */
async function shrinkParent(merge: LeafMerge): Promise<void> {
  const report = await reportNow(merge);
  if (volumeOf(report, merge.parent)?.kind !== 'vhd') return;
  if ((await merge.othersRest?.()) !== false) await shrinkBase(merge.volumes, report, merge.parent);
}

/** Ours has its size still. */
async function growLeaf(merge: LeafMerge): Promise<void> {
  if (merge.sizeBefore === undefined) await growToFull(merge);
}

async function makeParentReadOnly(merge: LeafMerge): Promise<void> {
  const report = await reportNow(merge);
  const name = volumeOf(report, merge.parent)?.lvName;
  if (name !== undefined && lvNamed(report, name)?.readOnly === false) await merge.volumes.lvm.setPermission(name, 'r');
}

async function nameParent(merge: LeafMerge): Promise<void> {
  const { volumes, leaf, parent } = merge;
  const report = await reportNow(merge);
  if (volumeOf(report, leaf) !== undefined) return;
  const named = volumeOf(report, parent);
  if (named !== undefined) await volumes.lvm.renameLv(named.lvName, lvName(named.kind, leaf));
}

async function resizeDisk(merge: LeafMerge): Promise<void> {
  const { volumes, leaf, sizeBefore } = merge;
  const report = await reportNow(merge);
  const lv = lvNamed(report, lvName('vhd', leaf));
  if (lv === undefined) return;
  const full = await withVhd(volumes.openLv, lv, 'read', ({ virtualSizeBytes }) => fullVhdLvSize(virtualSizeBytes));
  if (sizeBefore === undefined || sizeBefore >= full) await growToFull(merge);
  else await shrinkBase(volumes, report, leaf);
}

/** A disk that can hold every block; never a reason to fail. */
async function growToFull(merge: LeafMerge): Promise<void> {
  const { volumes, leaf } = merge;
  const report = await reportNow(merge);
  const lv = lvNamed(report, lvName('vhd', leaf));
  if (lv === undefined) return;
  const full = await withVhd(volumes.openLv, lv, 'read', ({ virtualSizeBytes }) => fullVhdLvSize(virtualSizeBytes));
  if (full > lv.sizeBytes && report.freeBytes >= full - lv.sizeBytes + SMALL_LV_SIZE)
    await inflate(volumes, report, leaf, full);
}

async function makeDisk(merge: LeafMerge): Promise<void> {
  const report = await reportNow(merge);
  const disk = volumeOf(report, merge.leaf);
  if (disk === undefined) return;
  if (lvNamed(report, disk.lvName)?.readOnly === true) await merge.volumes.lvm.setPermission(disk.lvName, 'rw');
  await setHidden(merge.volumes, report, disk, false);
}

function leafOf({ leaf }: LeafMerge): { readonly kind: 'vhd'; readonly lvName: string } {
  return { kind: 'vhd', lvName: lvName('vhd', leaf) };
}

async function reportNow({ volumes }: LeafMerge): Promise<VgReport> {
  const report = await volumes.lvm.report();
  if (report !== undefined) return report;
  throw new RbdsrError('sr-unavailable', { what: `there is no volume group ${volumes.lvm.vg} any more` });
}

function nothingLeft({ id, lvName: journal }: JournalEntry, parent: VdiUuid): RbdsrError {
  return new RbdsrError('journal', {
    what: `journal ${journal} is of VDI ${id}, of which no volume is left that is known to have all of it`,
    expected: `the leaf, or a parent ${parent} that had all of it when the leaf was removed`,
    todo: 'Do not delete anything of this SR: look at it with rbdsr, and ask for help.',
  });
}
