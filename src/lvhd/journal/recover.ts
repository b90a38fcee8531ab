import { hasCode, RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import type { VgReport } from '../../lvm/report.ts';
import type { RecoveredVolumes } from '../volumes.ts';
import { type JournalEntry, listJournals } from './journal.ts';
import { removeJournal } from './journals.ts';
import { inOrder, type JournalKind, kindOf } from './kinds.ts';

export interface RecoveryWorld extends RecoveredVolumes {
  /**
   * Called for each LV whose size changed, before its journal goes: other hosts of the pool must reload it if it is
   * active there.
   */
  readonly refreshElsewhere: (lvNames: readonly string[]) => Promise<void>;
}

export interface Recovered {
  readonly type: string;
  readonly vdi: VdiUuid;
  /** False where the VDI was gone, or the LV still had its old size. */
  readonly resized: boolean;
  /** Why it is not undone: its VHD cannot be read. Its journal stays, and keeps the disk from being used. */
  readonly failure?: RbdsrError;
}

/**
 * Recovers the interrupted operations this release can (`kinds.ts`), then throws 'journal' if others are left: on the
 * SR master, under the SR lock, before a command that changes metadata. Answers what was done; nothing where there was
 * no journal, and then without any command.
 */
export async function recoverJournals(world: RecoveryWorld, report: VgReport): Promise<readonly Recovered[]> {
  const done: Recovered[] = [];
  let current: VgReport | undefined = report;
  for (const entry of inOrder(listJournals(report))) {
    const { recover } = kindOf(entry);
    if (recover === undefined) continue;
    // What the one before has done to the volumes.
    current ??= await world.lvm.report();
    if (current !== undefined) done.push(await recoverOrLeave(world, current, entry, recover));
    current = undefined;
  }
  refuseUnfinished(report);
  return done;
}

/**
 * Throws 'journal' when an operation was interrupted that this release cannot recover: before that is done, no command
 * may change the metadata of the SR.
 */
export function refuseUnfinished(report: VgReport, canRecover = isRecoverable): void {
  const open = listJournals(report).filter((entry) => !canRecover(entry));
  const [first] = open;
  if (first === undefined) return;
  throw new RbdsrError('journal', {
    what: `${kindOf(first).operation} of VDI ${first.id} was interrupted and has to be finished or undone first`,
    found: `journal ${open.map((entry) => entry.lvName).join(', ')} in ${report.name}`,
    todo: 'Attach the SR once with the stock LVM driver, or with a release of RBDSR that recovers it; no disk is lost meanwhile.',
    facts: { type: first.type, vdi: first.id, journal: first.lvName },
  });
}

function isRecoverable(entry: JournalEntry): boolean {
  const { recover, isCollectors } = kindOf(entry);
  return recover !== undefined || isCollectors === true;
}

/**
 * A disk that cannot be read keeps its journal, and no other disk from being changed: the journal is about its volume
 * only.
 */
async function recoverOrLeave(
  world: RecoveryWorld,
  report: VgReport,
  entry: JournalEntry,
  recover: NonNullable<JournalKind['recover']>,
): Promise<Recovered> {
  const { type, id: vdi } = entry;
  try {
    const resized = await recover(world, report, entry);
    if (resized.length > 0) await world.refreshElsewhere(resized);
    await removeJournal(world.lvm, entry);
    return { type, vdi, resized: resized.length > 0 };
  } catch (error) {
    if (!hasCode(error, 'io', 'vhd-corrupt', 'vdi-unavailable')) throw error;
    return { type, vdi, resized: false, failure: error };
  }
}
