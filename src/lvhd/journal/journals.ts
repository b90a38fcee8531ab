import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import { lvNamed, type LvReport, type VgReport } from '../../lvm/report.ts';
import { journalLv, listJournals } from './journal.ts';
import type { JournalEntry } from './journal.ts';
import { JOURNAL_TAG } from '../names.ts';
import { SMALL_LV_SIZE } from '../sizes.ts';

/**
 * Opens a logical volume by name for one use; the caller closes it. In production the active LV's node; through the
 * physical extents where nothing can be activated. An `open` after a resize sees the new size; `known` is what LVM has
 * just told of the LV, which then is not asked again.
 */
export type OpenLv = (lvName: string, mode: 'read' | 'write', known?: LvReport) => Promise<BlockIo>;

/**
 * Notes down an operation before its first write. 'journal' where the VDI has one of this type already. A value that
 * does not fit the name is written before the LV gets its tag: an untagged journal LV is no journal, so a cut never
 * leaves one without a value. `note`: a word to ourselves behind such a value, where no other driver looks.
 */
export async function createJournal(
  lvm: Lvm,
  report: VgReport,
  openLv: OpenLv,
  journal: { readonly type: string; readonly id: VdiUuid; readonly value: string; readonly note?: string },
): Promise<JournalEntry> {
  const { type, id, value, note } = journal;
  const present = listJournals(report).find((entry) => entry.type === type && entry.id === id);
  if (present !== undefined) {
    throw new RbdsrError('journal', { what: `VDI ${id} already has a ${type} journal`, found: present.lvName });
  }
  const { name, content } = journalLv(lvm.vg, type, id, value, note);
  if (content === undefined) {
    await lvm.createLv(name, SMALL_LV_SIZE, { tag: JOURNAL_TAG, before: report });
    return { type, id, lvName: name, value };
  }
  await runSteps(journalSteps, { lvm, report, openLv, name, content });
  return { type, id, lvName: name, value: undefined };
}

/** The making of a journal that has its value inside. */
interface Noting {
  readonly lvm: Lvm;
  readonly report: VgReport;
  readonly openLv: OpenLv;
  readonly name: string;
  readonly content: Buffer;
  /** As LVM has made it. */
  lv?: LvReport;
}

const begunAnew: Mending = { by: ['again'], says: 'the same again removes it, and begins anew' };

export const journalSteps: readonly Step<Noting>[] = [
  step('journal.created', makeVolume, {
    does: '`lvcreate <type>_<uuid>_1`',
    leaves: { id: 'volume-untagged', says: 'a volume that is no journal' },
    mendedBy: begunAnew,
  }),
  step('journal.value-written', writeValue, {
    does: 'the value is written into it',
    leaves: { id: 'value-untagged', says: 'the same' },
    mendedBy: begunAnew,
  }),
  lastStep(({ lvm, name }) => lvm.addTag(name, JOURNAL_TAG), 'it gets the tag `journaler`'),
];

async function makeVolume(noting: Noting): Promise<void> {
  const { lvm, report, name } = noting;
  if (lvNamed(report, name) !== undefined) await lvm.removeLv(name);
  noting.lv = await lvm.createLv(name, SMALL_LV_SIZE, { before: report });
}

async function writeValue({ openLv, name, content, lv }: Noting): Promise<void> {
  const io = await openLv(name, 'write', lv);
  try {
    await io.write(0, content);
    await io.flush();
  } finally {
    await io.close();
  }
}

/** After the operation's last write. One that is gone is a success. */
export async function removeJournal(lvm: Lvm, entry: JournalEntry): Promise<void> {
  await lvm.removeLv(entry.lvName);
}
