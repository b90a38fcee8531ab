import type { Host } from '../host.ts';
import type { ChangeEntry } from './journal.ts';
import { type Before, beforeOurs } from './own-content.ts';
import { fingerprint, readState } from './path-state.ts';
import type { Placement } from './placement.ts';

/** An entry that the journal does not have, and what it puts back. */
export interface LostEntry {
  readonly entry: ChangeEntry;
  readonly before: Before;
}

/** That of a path which has RBDSR's own content. */
export function lostEntry(host: Host, change: string, placement: Placement): LostEntry | undefined {
  const { path, block } = placement;
  const current = readState(host.at(path));
  if (current.kind === 'absent' || host.journal.entry(change, path) !== undefined) return undefined;
  const before = beforeOurs(host, placement, current);
  if (before === undefined) return undefined;
  const entry = { change, path, found: before.state, wrote: [fingerprint(current)] };
  return { before, entry: block === undefined ? entry : { ...entry, block } };
}
