import type { Deadline } from '../../base/deadline.ts';
import { runFailure, succeeded } from '../../system/run.ts';
import type { Finding } from './finding.ts';
import { findingsOf } from './finding.ts';
import { obsoleteEntries } from './obsolete-entries.ts';
import type { Host } from '../host.ts';
import type { Plan } from './placement.ts';
import { lostEntry, type LostEntry } from './lost-entry.ts';
import { put } from './put.ts';
import type { LeftAlone } from './restore.ts';
import { inUndoOrder } from './undo-order.ts';
import { undoEntry, withdraw } from './undo.ts';

/**
 * One thing that enable changes on a host. Enabling, disabling and checking are folds over a list of these
 * (change-list.ts).
 */
export interface Change {
  readonly name: string;
  /** What it is for, for the administrator. */
  readonly describe: string;
  /** Reads only. One finding for each path, or one that says why there is nothing to do. */
  check(host: Host): readonly Finding[];
  /** Makes it so; whatever is so already stays untouched. The paths that were written. */
  apply(host: Host): readonly string[];
  /** Puts back what was there, the last path first. What was left alone, and why. */
  revert(host: Host): readonly LeftAlone[];
  /** Reads only. What RBDSR has at paths of this change although the journal does not know. */
  lost(host: Host): readonly LostEntry[];
  /** Tries what it is for, on a host where it was made: how that went. */
  prove(host: Host): Promise<readonly Finding[]>;
  /** Tells running services, after apply and after revert. What failed, in sentences: it undoes nothing. */
  settle(host: Host, direction: 'apply' | 'revert', deadline: Deadline): Promise<readonly string[]>;
}

interface FilesChange {
  readonly name: string;
  readonly describe: string;
  plan(host: Host): Plan;
  /** What was done once is not undone because the plan does not ask for it again: the plan is made of what it found. */
  readonly sticky?: true;
  settle?(host: Host, direction: 'apply' | 'revert'): readonly Command[];
  prove?(host: Host): Promise<readonly Finding[]>;
}

/** What tells running services. A program that the host does not have is left out. */
export type Settle = Readonly<Record<'apply' | 'revert', readonly Command[]>>;

type Command = readonly [program: string, ...args: string[]];

/** A change that consists of files, links and folders. */
export function filesChange(o: FilesChange): Change {
  return {
    name: o.name,
    describe: o.describe,
    check: (host) => findingsOf(host, o.name, o.plan(host), o.sticky === true),
    apply(host) {
      const { placements } = o.plan(host);
      const written = placements.filter((placement) => put(host, o.name, placement)).map(({ path }) => path);
      if (o.sticky === true) return written;
      const obsolete = obsoleteEntries(host, o.name, placements);
      for (const entry of inUndoOrder(obsolete)) withdraw(host, entry);
      return [...written, ...obsolete.map(({ path }) => path)];
    },
    revert(host) {
      const own = host.journal.entries.filter(({ change }) => change === o.name);
      return inUndoOrder(own).flatMap((entry) => undoEntry(host, entry) ?? []);
    },
    lost: (host) => o.plan(host).placements.flatMap((placement) => lostEntry(host, o.name, placement) ?? []),
    prove: async (host) => (await o.prove?.(host)) ?? [],
    async settle(host, direction, deadline) {
      const problems: string[] = [];
      for (const [program, ...args] of o.settle?.(host, direction) ?? []) {
        const outcome = await host.run(program, args, deadline);
        if (outcome === undefined || succeeded(outcome)) continue;
        problems.push(runFailure(outcome).message);
      }
      return problems;
    },
  };
}
