import { RbdsrError } from '../../base/error.ts';
import { isUuid, type VdiUuid } from '../../base/ids.ts';
import type { JournalEntry } from './journal.ts';

/** What the journal of a snapshot or clone says (sm `LVHDSR._undoAllJournals`). */
export interface CloneJournal {
  /** The disk that it is of. */
  readonly source: VdiUuid;
  readonly base: VdiUuid;
  /** The new disk, where the journal names one. */
  readonly copy?: VdiUuid;
}

/** The value of a `clone` journal, as stock writes it. */
export function cloneValue({ base, copy = '' }: Pick<CloneJournal, 'base'> & { readonly copy?: string }): string {
  return `${base}_${copy}`;
}

/** 'journal' for a value that is none. */
export function cloneJournal(entry: JournalEntry, value: string): CloneJournal {
  const [base = '', copy = '', ...more] = value.split('_');
  const isValue = isUuid(base) && (copy === '' || isUuid(copy)) && more.length === 0;
  if (!isValue) {
    throw new RbdsrError('journal', {
      what: `journal ${entry.lvName} does not say what was being made`,
      expected: '<base>_<new disk>, or <base>_',
      found: JSON.stringify(value.slice(0, 80)),
    });
  }
  return { source: entry.id, base: base as VdiUuid, ...(copy === '' ? {} : { copy: copy as VdiUuid }) };
}
