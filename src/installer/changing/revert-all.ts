import { rmdirSync, rmSync } from 'node:fs';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import { type Host, OLD_STOCK_DIR, SAVED_DIR, STATE_DIR, STOCK_DIR } from '../host.ts';
import type { Change } from './change.ts';
import { keepLost } from './lost-entries.ts';
import type { LostEntry } from './lost-entry.ts';
import { eitherWay } from './mending.ts';
import type { LeftAlone } from './restore.ts';
import { begin, settleAll } from './run-changes.ts';
import { clearStage } from './stage.ts';
import { undoEntry } from './undo.ts';
import { inUndoOrder } from './undo-order.ts';

export interface Reverted {
  readonly left: readonly LeftAlone[];
  /** Services that did not do as they were told. */
  readonly problems: readonly string[];
}

/**
 * Undoes all that the journal has, the last entry first, and then the journal: also what another version of RBDSR did,
 * and what is `lost` of its journal. `tell`: the changes whose services have to know.
 */
export async function revertAll(
  host: Host,
  { lost = [], tell = [] }: { readonly lost?: readonly LostEntry[]; readonly tell?: readonly Change[] } = {},
): Promise<Reverted> {
  const reverting: Reverting = { host, lost, tell, left: [], problems: [] };
  await runSteps(revertSteps, reverting);
  return reverting;
}

interface Reverting extends Reverted {
  readonly host: Host;
  readonly lost: readonly LostEntry[];
  readonly tell: readonly Change[];
  readonly left: LeftAlone[];
  readonly problems: string[];
}

/** Services are told while the journal is there, so that whoever comes after a crash tells them. */
export const revertSteps: readonly Step<Reverting>[] = [
  step('host.disabling', beginDisabling, {
    does: 'the journal says `disabling`; where it was lost it is written anew',
    leaves: { id: 'disabling', says: 'the host as RBDSR has it' },
    mendedBy: eitherWay,
  }),
  step('host.reverted', revert, {
    does: 'every path is put back, the last first, as below',
    leaves: { id: 'reverted', says: 'the host as it was; copies that nothing names' },
    mendedBy: eitherWay,
  }),
  step('host.cleared', clear, {
    does: 'the copies go',
    leaves: { id: 'cleared', says: 'the host as it was; services do not know' },
    mendedBy: eitherWay,
  }),
  step('host.told-back', tellServices, {
    does: 'services are told',
    leaves: { id: 'told-back', says: 'the host as it was; the empty journal' },
    mendedBy: eitherWay,
    when: ({ tell }) => tell.length > 0,
  }),
  lastStep(forget, 'the journal goes, and its folder'),
];

function beginDisabling({ host, lost }: Reverting): void {
  begin(host, 'disabling', keepLost(host, lost));
  // Beside paths that the journal has only now.
  if (lost.length > 0) clearStage(host);
}

function revert({ host, left }: Reverting): void {
  left.push(...inUndoOrder(host.journal.entries).flatMap((entry) => undoEntry(host, entry) ?? []));
}

function clear({ host }: Reverting): void {
  rmSync(host.at(SAVED_DIR), { recursive: true, force: true });
  clearStage(host);
}

async function tellServices({ host, tell, problems }: Reverting): Promise<void> {
  problems.push(...(await settleAll(host, tell, 'revert')));
}

function forget({ host }: Reverting): void {
  host.journal.remove();
  for (const folder of [STATE_DIR, STOCK_DIR, OLD_STOCK_DIR]) removeIfEmpty(host.at(folder));
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error;
  }
}
