import { messageOf } from '../../base/error.ts';
import { CHANGES } from '../change-list.ts';
import type { Host } from '../host.ts';
import type { ChangeEntry } from './journal.ts';
import type { LostEntry } from './lost-entry.ts';
import { keepBefore } from './own-content.ts';
import type { LeftAlone } from './restore.ts';

/** What an RBDSR whose journal is gone has left on the host; `left`: of which change that cannot be told, and why. */
export function lostEntries(host: Host): {
  readonly entries: readonly LostEntry[];
  readonly left: readonly LeftAlone[];
} {
  const left: LeftAlone[] = [];
  const entries = CHANGES.flatMap((change) => {
    try {
      return change.lost(host);
    } catch (error) {
      left.push({ path: change.name, why: messageOf(error) });
      return [];
    }
  });
  return { entries, left };
}

/** For a journal that is written anew. */
export function keepLost(host: Host, lost: readonly LostEntry[]): readonly ChangeEntry[] {
  for (const { before } of lost) keepBefore(host, before);
  return lost.map(({ entry }) => entry);
}
