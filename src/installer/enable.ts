import { RbdsrError } from '../base/error.ts';
import { runSteps } from '../system/running-steps.ts';
import { DISPATCHER } from './changes/divert.ts';
import { stockProblem } from './changes/stock-proof.ts';
import { type Finding, isWell } from './changing/finding.ts';
import { isOrWasEnabled } from './changing/journal.ts';
import { isOwnContent } from './changing/own-content.ts';
import { lockHost } from './changing/run-changes.ts';
import { checkEach } from './check-each.ts';
import { DIVERTED_ENTRY, type Host, LAUNCHER } from './host.ts';
import { enableSteps, type Making, repairSteps } from './making.ts';
import { restartReasons } from './restart.ts';

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
  const making: Making = { host, before, answered, written: [], done: [], failed: [], problems: [] };
  await runSteps(enableSteps, making);
  const { written, problems } = making;
  const wasWhole = before?.state === 'enabled';
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
  const making: Making = { host, before, answered: false, written: [], done: [], failed: [], problems: [] };
  await runSteps(repairSteps, making);
  const { written, problems, failed } = making;
  const restart = restartReasons(isWhole ? written : undefined);
  return { ...nothing, written, restart, replaced: replacedOf(host, findings), resumed: !isWhole, problems, failed };
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
