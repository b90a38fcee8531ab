import { messageOf, RbdsrError } from '../base/error.ts';
import type { Change } from './change.ts';
import { CHANGES } from './change-list.ts';
import { DISPATCHER } from './changes/divert.ts';
import { type Finding, isWell } from './finding.ts';
import { type Host, LAUNCHER } from './host.ts';
import type { JournalContent } from './journal.ts';
import { restartReasons } from './restart.ts';
import { begin, lockHost, revertAll, settleAll } from './run-changes.ts';
import { type LeftAlone, takeBack } from './undo.ts';

export interface Enabled {
  /** Paths that were written, taken away or put back. */
  readonly written: readonly string[];
  /** Why xapi must be restarted on this host; empty when it need not. */
  readonly restart: readonly string[];
  /** What only a person can put right. */
  readonly attention: readonly Finding[];
  /** Services that did not do as they were told. */
  readonly problems: readonly string[];
  /** Files of ours that somebody had changed; the copies of what they were. */
  readonly replaced: readonly Finding[];
  /** An earlier enable or disable was cut short. */
  readonly resumed: boolean;
}

/**
 * Makes every change, or none: where one fails, those of this run are undone in reverse order, and so are those of an earlier run that was cut
 * short. Whatever is as it should be stays untouched.
 */
export async function enable(host: Host): Promise<Enabled> {
  requireProduct(host);
  await using _lock = await lockHost(host);
  const before = host.journal.content;
  const findings = CHANGES.flatMap((change) => change.check(host));
  begin(host, 'enabling');
  const { written, done } = applyAll(host, before);
  begin(host, 'enabled');
  const wasWhole = before?.state === 'enabled';
  const problems = await settleAll(host, wasWhole ? done : CHANGES, 'apply');
  return {
    written,
    restart: restartReasons(wasWhole ? written : undefined),
    attention: findings.filter(({ state }) => state === 'attention'),
    replaced: before === undefined ? [] : findings.filter(({ state }) => state === 'changed'),
    problems,
    resumed: before !== undefined && !wasWhole,
  };
}

/** What the boot unit runs. Does nothing where RBDSR is not enabled; one change that fails does not stop the others. */
export async function repair(host: Host): Promise<Enabled & { readonly failed: readonly string[] }> {
  await using _lock = await lockHost(host);
  const before = host.journal.content;
  const nothing = { written: [], restart: [], attention: [], problems: [], replaced: [], resumed: false, failed: [] };
  if (before?.state !== 'enabled') return nothing;
  requireProduct(host);
  const findings = CHANGES.flatMap((change) => change.check(host));
  if (findings.every(isWell) && before.product === host.product) return nothing;
  const failed: string[] = [];
  const done = new Set<Change>();
  const written = CHANGES.flatMap((change) => {
    try {
      const paths = change.apply(host);
      if (paths.length > 0) done.add(change);
      return paths;
    } catch (error) {
      failed.push(`${change.name}: ${messageOf(error)}`);
      return [];
    }
  });
  begin(host, 'enabled');
  const problems = await settleAll(host, [...done], 'apply');
  const replaced = findings.filter(({ state }) => state === 'changed');
  return { ...nothing, written, restart: restartReasons(written), replaced, problems, failed };
}

/** 'config-missing' */
function requireProduct(host: Host): void {
  for (const path of [LAUNCHER, DISPATCHER]) {
    if (host.has(path)) continue;
    throw new RbdsrError('config-missing', {
      what: `${path} is missing, so RBDSR is not completely installed on this host`,
      todo: 'Install it again; nothing was changed.',
    });
  }
}

function applyAll(
  host: Host,
  before: JournalContent | undefined,
): { readonly written: readonly string[]; readonly done: readonly Change[] } {
  const written: string[] = [];
  const done: Change[] = [];
  for (const change of CHANGES) {
    try {
      const paths = change.apply(host);
      if (paths.length > 0) done.push(change);
      written.push(...paths);
    } catch (error) {
      throw failed(change, error, rollBack(host, before));
    }
  }
  return { written, done };
}

/** To what the host was before this run, or, after a run that was cut short, to what it was before RBDSR. */
function rollBack(host: Host, before: JournalContent | undefined): readonly LeftAlone[] {
  const left = takeBack(host);
  if (before?.state === 'enabled') {
    begin(host, 'enabled');
    return left;
  }
  return [...left, ...revertAll(host)];
}

function failed(change: Change, error: unknown, left: readonly LeftAlone[]): RbdsrError {
  const rest = left.map(({ path, why }) => `${path} was left alone: ${why}`).join('; ');
  return new RbdsrError(error instanceof RbdsrError ? error.code : 'io', {
    what: `"${change.name}" failed, and everything done before it was put back`,
    found: messageOf(error) + (rest === '' ? '' : `; ${rest}`),
    todo: 'Put that right, then run rbdsr enable again.',
    cause: error,
  });
}
