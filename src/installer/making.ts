import { messageOf, RbdsrError } from '../base/error.ts';
import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import { CHANGES } from './change-list.ts';
import { divert } from './changes/divert.ts';
import type { Change } from './changing/change.ts';
import { type Finding, isWell } from './changing/finding.ts';
import type { JournalContent } from './changing/journal.ts';
import { eitherWay } from './changing/mending.ts';
import type { LeftAlone } from './changing/restore.ts';
import { begin, settleAll } from './changing/run-changes.ts';
import type { Host } from './host.ts';
import { rollBack } from './roll-back.ts';

/** The making of all changes. */
export interface Making {
  readonly host: Host;
  /** What the journal said before this run. */
  readonly before: JournalContent | undefined;
  /** The stock driver has answered before, and was not behind the divert. */
  readonly answered: boolean;
  readonly written: string[];
  /** Those that have written something. */
  readonly done: Change[];
  /** Those of a repair that could not be made, in sentences. */
  readonly failed: string[];
  /** What does not do what it is for, in sentences, and services that did not do as they were told. */
  readonly problems: string[];
}

/** Services are told before the journal says that all is done, so that whoever comes after a crash tells them. */
export const enableSteps: readonly Step<Making>[] = [
  step('host.enabling', ({ host }) => begin(host, 'enabling'), {
    does: 'the journal says `enabling`',
    leaves: { id: 'enabling', says: 'the host as it was' },
    mendedBy: eitherWay,
  }),
  step('host.applied', applyAll, {
    does: 'every path is put as its change wants it, as below; the way to the stock driver is tried',
    leaves: { id: 'applied', says: 'all in its place; services do not know' },
    mendedBy: eitherWay,
  }),
  step('host.told', tellServices, {
    does: 'services are told',
    leaves: { id: 'told', says: 'all but the word of the journal' },
    mendedBy: eitherWay,
  }),
  lastStep(({ host }) => begin(host, 'enabled'), 'the journal says `enabled`'),
];

const anyWay: Mending = {
  by: ['repair', 'enable', 'disable'],
  says: '`rbdsr repair`, as at the next boot; `rbdsr enable`, or `rbdsr disable`',
};

export const repairSteps: readonly Step<Making>[] = [
  step('host.repairing', ({ host }) => begin(host, 'enabling'), {
    does: 'the journal says `enabling`, and that the host was enabled',
    leaves: { id: 'repairing', says: 'the host as it was' },
    mendedBy: anyWay,
  }),
  step('host.repaired', applyEach, {
    does: 'every path is put as its change wants it, as below; one that cannot be made stops no other',
    leaves: { id: 'repaired', says: 'all in its place; services do not know' },
    mendedBy: anyWay,
  }),
  step('host.repair-told', tellServices, {
    does: 'services are told',
    leaves: { id: 'repair-told', says: 'all but the word of the journal' },
    mendedBy: anyWay,
  }),
  lastStep(({ host }) => begin(host, 'enabled'), 'the journal says `enabled`'),
];

/** All of them, or none. */
async function applyAll(making: Making): Promise<void> {
  const { host, before, answered, problems } = making;
  for (const change of CHANGES) {
    try {
      apply(making, change);
    } catch (error) {
      throw failed(change, error, await rollBack(host, before));
    }
  }
  const unproven = await proveAll(host, CHANGES);
  if (answered && unproven.length > 0)
    throw failed(divert, new Error(unproven.join('; ')), await rollBack(host, before));
  problems.push(...unproven);
}

async function applyEach(making: Making): Promise<void> {
  const { host, done, problems } = making;
  for (const change of CHANGES) {
    try {
      apply(making, change);
    } catch (error) {
      making.failed.push(`${change.name}: ${messageOf(error)}`);
    }
  }
  problems.push(...(await proveAll(host, done)));
}

function apply({ host, written, done }: Making, change: Change): void {
  const paths = change.apply(host);
  if (paths.length > 0) done.push(change);
  written.push(...paths);
}

async function tellServices({ host, before, done, problems }: Making): Promise<void> {
  problems.push(...(await settleAll(host, toSettle(host, before, done), 'apply')));
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

function failed(change: Change, error: unknown, left: readonly LeftAlone[]): RbdsrError {
  const rest = left.map(({ path, why }) => `${path} was left alone: ${why}`).join('; ');
  return new RbdsrError(error instanceof RbdsrError ? error.code : 'io', {
    what: `"${change.name}" failed, and everything done before it was put back`,
    found: messageOf(error) + (rest === '' ? '' : `; ${rest}`),
    todo: 'Put that right, then run rbdsr enable again.',
    cause: error,
  });
}
