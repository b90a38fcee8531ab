import { RbdsrError } from '../../base/error.ts';
import type { VgReport } from '../../lvm/report.ts';
import { lvNamed } from '../../lvm/report.ts';
import { lvName } from '../names.ts';
import { undoInflate } from '../ops/inflate.ts';
import type { RecoveredVolumes, Volumes } from '../volumes.ts';
import { type JournalEntry, readJournalValue } from './journal.ts';

/** An operation that a journal notes down. */
export interface JournalKind {
  /** As a sentence begins: "growing the volume of VDI ...". */
  readonly operation: string;
  /**
   * Undoes or finishes what was cut short; the journal goes afterwards. Answers the volumes whose size or place has
   * changed, so that other hosts reload them. Absent: this release cannot, and refuses to change the SR's metadata.
   */
  readonly recover?: (world: RecoveredVolumes, report: VgReport, entry: JournalEntry) => Promise<readonly string[]>;
  /**
   * Every disk reads as it did in each state of it: it keeps no command from changing other disks, and the collector
   * goes on with it (src/gc). It may be at work, too.
   */
  readonly isCollectors?: true;
}

/**
 * By the first part of the journal's name, in the order of recovery: those of the stock driver (sm `journaler.py`,
 * `cleanup.py`, `LVHDSR`).
 */
const KINDS: Readonly<Record<string, JournalKind>> = {
  inflate: { operation: 'growing the volume', recover: undoGrowing },
  jvhd: { operation: 'the journalled resize' },
  clone: { operation: 'a snapshot or clone', recover: recoverSnapshot },
  leaf: { operation: 'merging the leaf', recover: recoverLeafMerge },
  coalesce: { operation: 'merging the inner node', isCollectors: true },
  relink: { operation: 'relinking the children', isCollectors: true },
  zero: { operation: 'zeroing the grown raw parent' },
};

/** Those that are recovered first come first. */
export function inOrder(entries: readonly JournalEntry[]): JournalEntry[] {
  const order = Object.keys(KINDS);
  return entries.toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
}

/** A type that nobody here knows is one that this release cannot recover. */
export function kindOf({ type }: Pick<JournalEntry, 'type'>): JournalKind {
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  return kind ?? { operation: `operation "${type}"` };
}

/** Loaded where there is one. */
async function recoverSnapshot(volumes: Volumes, report: VgReport, entry: JournalEntry): Promise<readonly string[]> {
  return (await import('../ops/recover-clone.ts')).recoverClone(volumes, report, entry);
}

/** Loaded where there is one. */
async function recoverLeafMerge(
  volumes: RecoveredVolumes,
  report: VgReport,
  entry: JournalEntry,
): Promise<readonly string[]> {
  return (await import('../ops/recover-leaf.ts')).recoverLeaf(volumes, report, entry);
}

/** A volume that is gone, and one that has its old size, are done. */
async function undoGrowing(volumes: Volumes, report: VgReport, entry: JournalEntry): Promise<readonly string[]> {
  const lv = lvName('vhd', entry.id);
  if (lvNamed(report, lv) === undefined) return [];
  const value = await readJournalValue(entry, (name) => volumes.openLv(name, 'read'));
  return (await undoInflate(volumes, report, entry.id, sizeIn(value, entry))) ? [lv] : [];
}

function sizeIn(value: string, entry: JournalEntry): number {
  if (/^[1-9][0-9]{0,15}$/.test(value)) return Number(value);
  throw new RbdsrError('journal', {
    what: `journal ${entry.lvName} holds no size`,
    expected: 'the size of the LV before it grew, in bytes',
    found: JSON.stringify(value.slice(0, 40)),
  });
}
