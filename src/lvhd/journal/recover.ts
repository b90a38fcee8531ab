import { hasCode, RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { lvNamed, type VgReport } from '../../lvm/report.ts';
import { undoInflate } from '../ops/inflate.ts';
import type { InflateWorld } from '../ops/inflate.ts';
import { listJournals, readJournalValue, refuseUnfinished } from './journal.ts';
import type { JournalEntry } from './journal.ts';
import { removeJournal } from './journals.ts';
import { lvName } from '../names.ts';

export interface RecoveryWorld extends InflateWorld {
  /**
   * Called for each LV whose size changed, before its journal goes: other hosts of the pool must reload it if it is
   * active there.
   */
  readonly refreshElsewhere: (lvNames: readonly string[]) => Promise<void>;
}

export interface Recovered {
  readonly type: 'inflate';
  readonly vdi: VdiUuid;
  /** False where the VDI was gone, or the LV still had its old size. */
  readonly resized: boolean;
  /** Why it is not undone: its VHD cannot be read. Its journal stays, and keeps the disk from being used. */
  readonly failure?: RbdsrError;
}

/**
 * Undoes the interrupted operations this release can undo, then throws 'journal' if others are left: on the SR master,
 * under the SR lock, before a command that changes metadata. Answers what was done; nothing where there was no journal,
 * and then without any command.
 */
export async function recoverJournals(world: RecoveryWorld, report: VgReport): Promise<readonly Recovered[]> {
  const done: Recovered[] = [];
  for (const entry of listJournals(report).filter(({ type }) => type === 'inflate')) {
    done.push(await undoOrLeave(world, report, entry));
  }
  refuseUnfinished(report);
  return done;
}

/**
 * A disk that cannot be read keeps its journal, and no other disk from being changed: the journal is about its volume
 * only.
 */
async function undoOrLeave(world: RecoveryWorld, report: VgReport, entry: JournalEntry): Promise<Recovered> {
  const vdi = entry.id;
  try {
    const lv = lvName('vhd', vdi);
    const present = lvNamed(report, lv) !== undefined;
    const resized = present && (await undoInflate(world, report, vdi, await journalledSize(world, entry)));
    if (resized) await world.refreshElsewhere([lv]);
    await removeJournal(world.lvm, entry);
    return { type: 'inflate', vdi, resized };
  } catch (error) {
    if (!hasCode(error, 'io', 'vhd-corrupt')) throw error;
    return { type: 'inflate', vdi, resized: false, failure: error };
  }
}

async function journalledSize(world: RecoveryWorld, entry: JournalEntry): Promise<number> {
  const value = await readJournalValue(entry, (name) => world.openLv(name, 'read'));
  if (/^[1-9][0-9]{0,15}$/.test(value)) return Number(value);
  throw new RbdsrError('journal', {
    what: `journal ${entry.lvName} holds no size`,
    expected: 'the size of the LV before it grew, in bytes',
    found: JSON.stringify(value.slice(0, 40)),
  });
}
