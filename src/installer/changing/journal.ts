import { join } from 'node:path';
import { RbdsrError } from '../../base/error.ts';
import { readIfExists, removeIfExists, writeFileAtomic } from '../../system/files.ts';
import type { PathState } from './path-state.ts';
import { formerRecord, leaveNote, takeNoteAway } from '../state/state-note.ts';

/** One path that a change has taken over. It is written before the path is touched. */
export interface ChangeEntry {
  /** The change's name. */
  readonly change: string;
  /** As the host sees it. */
  readonly path: string;
  /** What disable puts back. A file's content is in the folder `saved`, under its hash. */
  readonly found: PathState;
  /** Fingerprints of everything of ours that may be there: more than one after an upgrade of RBDSR. */
  readonly wrote: readonly string[];
  /** Ours is a marked block in somebody else's file. */
  readonly block?: true;
}

export interface JournalContent {
  readonly format: 1;
  /** The version of RBDSR that ran last. */
  readonly product: string;
  /** The row of the host table it took the host for. */
  readonly profile: string;
  /** Anything but 'enabled' is the work of a process that was killed. */
  readonly state: 'enabling' | 'enabled' | 'disabling';
  /** While 'enabling': the host was enabled as a whole before, and is to be mended where this was cut short. */
  readonly wasEnabled?: true;
  readonly entries: readonly ChangeEntry[];
}

export type JournalHead = Pick<JournalContent, 'product' | 'profile' | 'state' | 'wasEnabled'>;

/** It is, or before a run that was cut short it was, enabled as a whole. */
export function isOrWasEnabled(content: JournalContent | undefined): content is JournalContent {
  return content?.state === 'enabled' || content?.wasEnabled === true;
}

/**
 * What enable did to this host: one document, replaced before every step, so that whoever comes after a crash knows all
 * of it.
 */
export class Journal {
  readonly #folder: string;
  readonly #former: string;
  readonly #file: string;
  #content: JournalContent | undefined;

  /** `former`: where 0.1.0 had it. 'metadata-corrupt' where the document is not one of ours. */
  constructor(folder: string, former: string) {
    this.#folder = folder;
    this.#former = former;
    this.#file = join(folder, 'changes.json');
    this.reload();
  }

  /**
   * Another process may have written it since; nobody writes it without the host's lock (run-changes.ts).
   * 'metadata-corrupt'
   */
  reload(): void {
    const text = readIfExists(this.#file) ?? formerRecord(this.#former);
    this.#content = text === undefined ? undefined : parse(text, this.#file);
  }

  /** Undefined where RBDSR is not enabled, and never was half enabled. */
  get content(): JournalContent | undefined {
    return this.#content;
  }

  get entries(): readonly ChangeEntry[] {
    return this.#content?.entries ?? [];
  }

  entry(change: string, path: string): ChangeEntry | undefined {
    return this.entries.find((entry) => entry.change === change && entry.path === path);
  }

  /** The entry that speaks of the path's present content: two changes may follow each other at one path. */
  lastAt(path: string): ChangeEntry | undefined {
    return this.entries.findLast((entry) => entry.path === path);
  }

  /** `lost`: entries that another journal had. */
  begin(head: JournalHead, lost: readonly ChangeEntry[] = []): void {
    this.#write({ format: 1, ...head, entries: [...this.entries, ...lost] });
    leaveNote(this.#former, this.#folder);
  }

  /** Adds the entry, or puts it in the place of the one for the same change and path. */
  record(entry: ChangeEntry): void {
    const at = this.entries.findIndex(({ change, path }) => change === entry.change && path === entry.path);
    this.#write({ ...this.#begun(), entries: at < 0 ? [...this.entries, entry] : this.entries.with(at, entry) });
  }

  drop(entry: ChangeEntry): void {
    this.#write({ ...this.#begun(), entries: this.entries.filter((other) => other !== entry) });
  }

  remove(): void {
    takeNoteAway(this.#former);
    removeIfExists(this.#file);
    this.#content = undefined;
  }

  #begun(): JournalContent {
    if (this.#content !== undefined) return this.#content;
    throw new RbdsrError('internal', { what: `${this.#file} was not begun` });
  }

  #write(content: JournalContent): void {
    writeFileAtomic(this.#file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
    this.#content = content;
  }
}

function parse(text: string, file: string): JournalContent {
  try {
    const content = JSON.parse(text) as JournalContent;
    if (content.format === 1 && Array.isArray(content.entries)) return content;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new RbdsrError('metadata-corrupt', {
    what: `${file}, which records what RBDSR changed on this host, cannot be read`,
    todo: 'It is written by RBDSR 0.1 and later; install the version that wrote it, or restore the file.',
  });
}
