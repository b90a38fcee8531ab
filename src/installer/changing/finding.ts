import { hasBlock } from './marked-block.ts';
import type { Host } from '../host.ts';
import type { ChangeEntry } from './journal.ts';
import { readFileSync } from 'node:fs';
import { describeState, fingerprint, readState } from './path-state.ts';
import { obsoleteEntries } from './obsolete-entries.ts';
import type { Placement, Plan } from './placement.ts';
import { fingerprintOfWant } from './want-fingerprint.ts';

/** One line of `rbdsr check`. */
export interface Finding {
  /** The change's name. */
  readonly part: string;
  readonly path?: string;
  /**
   * 'missing': RBDSR is not enabled here, or somebody took it away. 'changed': not as RBDSR wrote it. 'attention': only
   * a person can put it right.
   */
  readonly state: 'ok' | 'not-needed' | 'missing' | 'changed' | 'attention';
  readonly what: string;
  readonly todo?: string;
}

export const isWell = ({ state }: Finding): boolean => state === 'ok' || state === 'not-needed';

/** Compares what a plan wants, and what the journal says was done, with what is there. */
export function findingsOf(host: Host, part: string, plan: Plan, sticky: boolean): readonly Finding[] {
  const remarks = (plan.remarks ?? []).map(
    ({ path, what, todo }): Finding => ({ part, path, state: 'attention', what, todo }),
  );
  const placed = plan.placements.map((placement) => compare(host, part, placement));
  const obsolete = obsoleteEntries(host, part, plan.placements);
  const others = sticky
    ? obsolete.flatMap((entry) => recheck(host, part, entry))
    : obsolete.map(({ path }) => notWanted(part, path, plan));
  const all = [...placed, ...others, ...remarks];
  if (all.length > 0) return all;
  return [{ part, state: 'not-needed', what: plan.notNeeded ?? 'nothing to do' }];
}

function compare(host: Host, part: string, placement: Placement): Finding {
  const { path, want, block } = placement;
  const current = readState(host.at(path));
  if (fingerprint(current) === fingerprintOfWant(want)) {
    return { part, path, state: 'ok', what: want.kind === 'link' ? `-> ${want.target}` : `as RBDSR wrote it` };
  }
  const enabled = host.journal.content !== undefined;
  const todo = enabled ? 'rbdsr repair' : 'rbdsr enable';
  if (want.kind === 'absent') return { part, path, state: 'changed', what: 'is still there', todo };
  if (current.kind === 'absent') return { part, path, state: 'missing', what: 'is not there', todo };
  if (!enabled) return { part, path, state: 'missing', what: `is ${describeState(current)}`, todo };
  if (block === true && current.kind === 'file' && !hasBlock(readFileSync(host.at(path), 'utf8'))) {
    return { part, path, state: 'changed', what: "does not have RBDSR's lines any more", todo };
  }
  return { part, path, state: 'changed', what: `is ${describeState(current)}, not what RBDSR put there`, todo };
}

function notWanted(part: string, path: string, { notNeeded }: Plan): Finding {
  const why = notNeeded === undefined ? '' : `: ${notNeeded}`;
  return { part, path, state: 'changed', what: `is RBDSR's, and not needed any more${why}`, todo: 'rbdsr repair' };
}

/** What was done once, and may since be the business of another change or of the host. */
function recheck(host: Host, part: string, entry: ChangeEntry): readonly Finding[] {
  if (host.journal.lastAt(entry.path) !== entry) return [];
  const current = readState(host.at(entry.path));
  if (entry.wrote.includes(fingerprint(current))) {
    return [{ part, path: entry.path, state: 'ok', what: `${describeState(entry.found)} was undone` }];
  }
  return [{ part, path: entry.path, state: 'ok', what: 'has been replaced since' }];
}
