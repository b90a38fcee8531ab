import type { Host } from '../host.ts';
import type { ChangeEntry } from './journal.ts';
import type { Placement } from './placement.ts';

/**
 * What a change once did and its plan does not want any more: neither a path it has to take over, nor a folder above
 * one.
 */
export function obsoleteEntries(host: Host, change: string, placements: readonly Placement[]): readonly ChangeEntry[] {
  const isWanted = (path: string): boolean =>
    placements.some((placement) => placement.path === path || placement.path.startsWith(`${path}/`));
  return host.journal.entries.filter((entry) => entry.change === change && !isWanted(entry.path));
}
