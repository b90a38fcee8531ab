import { hasCode, RbdsrError } from '../../base/error.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { lvNamed, type LvReport, type VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { checkVhd } from '../../vhd/check/check.ts';
import { type JournalEntry, readJournalNote, readJournalValue } from '../journal/journal.ts';
import { type CloneJournal, cloneJournal } from '../journal/clone-journal.ts';
import { sizeNoted } from '../journal/size-note.ts';
import { lvName, unfinishedLvName } from '../names.ts';
import { openVhd, withVhd } from '../open-vhd.ts';
import { fullVhdLvSize, SMALL_LV_SIZE } from '../sizes.ts';
import type { Volumes } from '../volumes.ts';
import { inflate } from './inflate.ts';
import { type BaseVolume, setHidden, volumeOf } from './new-base.ts';

/**
 * Finishes a snapshot or clone that was cut short, or undoes it, whoever had begun it. Finished where the new leaf is
 * whole: it may be in use, and is never removed. Undone where it is missing, or is no disk yet: then what the base
 * holds is all that there is. Answers the volumes that hosts may have an old table of. 'io' where it cannot be told.
 */
export async function recoverClone(
  volumes: Volumes,
  report: VgReport,
  entry: JournalEntry,
): Promise<readonly string[]> {
  const read = (name: string) => volumes.openLv(name, 'read', lvNamed(report, name));
  const journal = cloneJournal(entry, await readJournalValue(entry, read));
  const base = volumeOf(report, journal.base);
  if (base === undefined) {
    refuseNothingLeft(report, entry);
    return [];
  }
  const recovering: Recovering = { volumes, report, entry, journal, base };
  const leaf = lvName('vhd', journal.source);
  if (await isWhole(volumes, report, leaf)) await runSteps(finishCloneSteps, recovering);
  else await runSteps(undoCloneSteps, recovering);
  return [leaf];
}

interface Recovering {
  readonly volumes: Volumes;
  readonly report: VgReport;
  readonly entry: JournalEntry;
  readonly journal: CloneJournal;
  readonly base: BaseVolume;
}

const goesOn: Mending = {
  by: ['sr_scan', 'again'],
  says: 'the next command on the SR master that changes metadata goes on',
};

export const finishCloneSteps: readonly Step<Recovering>[] = [
  step('finish-clone.copy-removed', removeBroken, {
    does: 'a new disk that is no disk yet is removed',
    leaves: { id: 'clone-unmarked', says: 'a whole leaf on a base that may not say that it is one' },
    mendedBy: goesOn,
  }),
  step('finish-clone.hidden', ({ volumes, report, base }) => setHidden(volumes, report, base, true), {
    does: 'the base is hidden',
    leaves: { id: 'clone-marked', says: 'the same, with a base that says so' },
    mendedBy: goesOn,
  }),
  lastStep(makeReadOnly, 'it is made read-only; the journal is removed'),
];

export const undoCloneSteps: readonly Step<Recovering>[] = [
  step('undo-clone.children-removed', removeChildren, {
    does: 'what was made of the new leaf and of the new disk is removed',
    leaves: { id: 'base-alone', says: 'a base without children' },
    mendedBy: goesOn,
  }),
  step('undo-clone.shown', show, {
    does: 'the base is made writable, and hidden no more',
    leaves: { id: 'base-shown', says: 'the disk under the name of the base' },
    mendedBy: goesOn,
  }),
  step('undo-clone.resized', restoreSize, {
    does: 'it gets its size back, by the steps of growing, where there is room: else activating it for writing does',
    leaves: { id: 'base-of-old-size', says: 'the same, of its old size' },
    mendedBy: goesOn,
  }),
  lastStep(
    ({ volumes, base, journal }) => volumes.lvm.renameLv(base.lvName, lvName(base.kind, journal.source)),
    'it gets its name back; the journal is removed',
  ),
];

/**
 * The volumes that stock, or we, had made for this alone. A whole disk among them is empty: nobody was told of it.
 */
async function removeChildren({ volumes, report, journal }: Recovering): Promise<void> {
  const made = [journal.source, ...(journal.copy === undefined ? [] : [journal.copy])];
  // What of the leaf has no name yet would be in the way of the next snapshot's leaf, which has the same uuid.
  const names = made.flatMap((vdi) => [lvName('vhd', vdi), unfinishedLvName(vdi)]);
  await volumes.lvm.removeLvs(names.filter((name) => lvNamed(report, name) !== undefined));
}

async function removeBroken({ volumes, report, journal }: Recovering): Promise<void> {
  if (journal.copy === undefined) return;
  const name = lvName('vhd', journal.copy);
  if (lvNamed(report, name) === undefined || (await isWhole(volumes, report, name))) return;
  await volumes.lvm.removeLv(name);
}

async function makeReadOnly({ volumes, report, base }: Recovering): Promise<void> {
  if (lvNamed(report, base.lvName)?.readOnly === false) await volumes.lvm.setPermission(base.lvName, 'r');
}

async function show({ volumes, report, base }: Recovering): Promise<void> {
  if (lvNamed(report, base.lvName)?.readOnly === true) await volumes.lvm.setPermission(base.lvName, 'rw');
  await setHidden(volumes, report, base, false);
}

/** That of before the operation where the journal is ours, else full as stock has it. Never a reason to fail. */
async function restoreSize({ volumes, entry, base }: Recovering): Promise<void> {
  if (base.kind === 'aio') return;
  const report = await volumes.lvm.report();
  const lv = lvNamed(report, base.lvName);
  if (report === undefined || lv === undefined) return;
  const bytes = await sizeBefore(lv);
  if (bytes > lv.sizeBytes && report.freeBytes >= bytes - lv.sizeBytes + SMALL_LV_SIZE)
    await inflate(volumes, report, base.uuid, bytes);

  async function sizeBefore(lv: LvReport): Promise<number> {
    const note = await readJournalNote(entry, (name) => volumes.openLv(name, 'read', lvNamed(report, name)));
    const noted = sizeNoted(note, base.uuid);
    if (noted !== undefined) return noted;
    return withVhd(volumes.openLv, lv, 'read', ({ virtualSizeBytes }) => fullVhdLvSize(virtualSizeBytes));
  }
}

/** 'vhd-corrupt' for one that is damaged and holds blocks: what it holds may be a guest's. */
async function isWhole(volumes: Volumes, report: VgReport, name: string): Promise<boolean> {
  const lv = lvNamed(report, name);
  if (lv === undefined) return false;
  const io = await volumes.openLv(name, 'read', lv);
  try {
    if ((await checkVhd(io, { endFooterOptional: true })).every(({ severity }) => severity !== 'error')) return true;
    const image = await openVhd(io, 'read');
    if (image.allocatedBlocks === 0) return false;
    throw new RbdsrError('vdi-unavailable', {
      what: `${name} was being made by an operation that was cut short; it is damaged, and holds ${image.allocatedBlocks} blocks`,
      expected: 'a whole disk, or one without content',
      todo: `Nothing is changed. Look at it with: rbdsr vhd check /dev/${report.name}/${name}`,
    });
  } catch (error) {
    if (hasCode(error, 'vhd-corrupt')) return false;
    throw error;
  } finally {
    await io.close();
  }
}

/** Before the rename, and after it was taken back, the disk is there under its own name. */
function refuseNothingLeft(report: VgReport, { id, lvName: journal }: JournalEntry): void {
  if (lvNamed(report, lvName('vhd', id)) !== undefined || lvNamed(report, lvName('aio', id)) !== undefined) return;
  throw new RbdsrError('journal', {
    what: `journal ${journal} is of VDI ${id}, of which no volume is left, nor of its base`,
    todo: 'Do not delete anything of this SR: look at it with rbdsr, and ask for help.',
  });
}
