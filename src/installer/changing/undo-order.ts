import { dirname, resolve } from 'node:path';
import type { ChangeEntry } from './journal.ts';

/**
 * The last first; but a link before all that it may lead to, so that it never leads nowhere: xapi (from 25.20) takes a
 * driver whose entry does so from the whole pool. An entry that an upgrade has changed stands before what came with the
 * upgrade.
 */
export function inUndoOrder(entries: readonly ChangeEntry[]): readonly ChangeEntry[] {
  const paths = new Set(entries.map(({ path }) => path));
  const leadsToOurs = ({ path, wrote }: ChangeEntry): boolean =>
    wrote.some((print) => print.startsWith('link ') && paths.has(resolve(dirname(path), print.slice('link '.length))));
  const latestFirst = entries.toReversed();
  return [...latestFirst.filter(leadsToOurs), ...latestFirst.filter((entry) => !leadsToOurs(entry))];
}
