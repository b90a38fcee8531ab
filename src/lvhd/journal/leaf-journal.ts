import { RbdsrError } from '../../base/error.ts';
import { isUuid, type VdiUuid } from '../../base/ids.ts';
import type { JournalEntry } from './journal.ts';

/**
 * The value of a `leaf` journal, which is of the leaf: the parent that gets what the leaf has, and its name (sm
 * `cleanup.py`, `JRN_LEAF`). 'journal' for one that is none.
 */
export function leafParent({ id, lvName }: JournalEntry, value: string): VdiUuid {
  if (isUuid(value) && value !== id) return value as VdiUuid;
  throw new RbdsrError('journal', {
    what: `journal ${lvName} does not say what the leaf was being merged into`,
    expected: 'the uuid of its parent',
    found: JSON.stringify(value.slice(0, 80)),
  });
}
