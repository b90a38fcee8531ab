import { messageOf, RbdsrError } from '../base/error.ts';
import type { Change } from './changing/change.ts';
import { CHANGES } from './change-list.ts';
import { DISPATCHER, divert } from './changes/divert.ts';
import { checkEach } from './check-each.ts';
import { type Finding, isWell } from './changing/finding.ts';
import { DIVERTED_ENTRY, type Host, LAUNCHER } from './host.ts';
import { isOrWasEnabled, type JournalContent } from './changing/journal.ts';
import { isOwnContent } from './changing/own-content.ts';
import { restartReasons } from './restart.ts';
import { begin, goBackTo, lockHost, revertAll, settleAll } from './changing/run-changes.ts';
import { stockProblem } from './changes/stock-proof.ts';
import { type LeftAlone, takeBack } from './changing/undo.ts';

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
 * Makes every change, or none: where one fails, those of this run are undone in reverse order, and so are those of an
 * earlier run that was cut short, unless the host was enabled before that. Whatever is as it should be stays untouched.
 */
export async function enable(host: Host): Promise<Enabled> {
  await using _lock = await lockHost(host);
  // Not before: whoever had the lock may have been the one that removes RBDSR.
  requireProduct(host);
  const before = host.journal.content;
  const findings = checkEach(host);
  const answered = !isOwnContent(host, DIVERTED_ENTRY) && (await stockProblem(host)) === undefined;
  begin(host, 'enabling');
  const { written, done } = applyAll(host, before);
  const unproven = await proveAll(host, CHANGES);
  if (answered && unproven.length > 0) throw failed(divert, new Error(unproven.join('; ')), rollBack(host, before));
  begin(host, 'enabled');
  const wasWhole = before?.state === 'enabled';
  const problems = [...unproven, ...(await settleAll(host, toSettle(host, before, done), 'apply'))];
  return {
    written,
    restart: restartReasons(wasWhole ? written : undefined),
    attention: findings.filter(({ state }) => state === 'attention'),
    replaced: before === undefined ? [] : replacedOf(host, findings),
    problems,
    resumed: before !== undefined && !wasWhole,
  };
}

/**
 * What the boot unit runs. Does nothing where RBDSR is not enabled, or a first enable was cut short; one change that
 * fails does not stop the others.
 */
export async function repair(host: Host): Promise<Enabled & { readonly failed: readonly string[] }> {
  await using _lock = await lockHost(host);
  const before = host.journal.content;
  const nothing = { written: [], restart: [], attention: [], problems: [], replaced: [], resumed: false, failed: [] };
  if (!isOrWasEnabled(before)) return nothing;
  requireProduct(host);
  const findings = checkEach(host);
  const isWhole = before.state === 'enabled';
  if (isWhole && before.product === host.product && findings.every(isWell)) return nothing;
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
  const unproven = await proveAll(host, [...done]);
  const problems = [...unproven, ...(await settleAll(host, toSettle(host, before, [...done]), 'apply'))];
  const restart = restartReasons(isWhole ? written : undefined);
  return { ...nothing, written, restart, replaced: replacedOf(host, findings), resumed: !isWhole, problems, failed };
}

/** What does not do what it is for, in sentences. */
async function proveAll(host: Host, changes: readonly Change[]): Promise<readonly string[]> {
  const findings: Finding[] = [];
  for (const change of changes) findings.push(...(await change.prove(host)));
  return findings.filter((finding) => !isWell(finding)).map(({ path = '', what }) => `${path} ${what}`);
}

/** Whom to tell: of a run that was cut short it is not known what it wrote, and whom it told. */
function toSettle(host: Host, before: JournalContent | undefined, done: readonly Change[]): readonly Change[] {
  if (before?.state === 'enabled') return done;
  if (before !== undefined) return CHANGES;
  return CHANGES.filter((change) => host.journal.entries.some((entry) => entry.change === change.name));
}

/** Files of ours that were not as we left them; those that went because nothing needs them are none. */
function replacedOf(host: Host, findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(
    ({ state, path }) => state === 'changed' && path !== undefined && host.journal.lastAt(path) !== undefined,
  );
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

/** To what the host was before this run, or, where it never was enabled as a whole, to what it was before RBDSR. */
function rollBack(host: Host, before: JournalContent | undefined): readonly LeftAlone[] {
  const left = takeBack(host);
  if (isOrWasEnabled(before)) {
    goBackTo(host, before);
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
