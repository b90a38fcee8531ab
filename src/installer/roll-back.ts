import { lastStep, type Step, step } from '../base/steps.ts';
import { runSteps } from '../system/running-steps.ts';
import { CHANGES } from './change-list.ts';
import { isOrWasEnabled, type JournalContent } from './changing/journal.ts';
import { eitherWay } from './changing/mending.ts';
import type { LeftAlone } from './changing/restore.ts';
import { revertAll } from './changing/revert-all.ts';
import { goBackTo } from './changing/run-changes.ts';
import { takeBack } from './changing/take-back.ts';
import type { Host } from './host.ts';

/** To what the host was before this run, or, where it never was enabled as a whole, to what it was before RBDSR. */
export async function rollBack(host: Host, before: JournalContent | undefined): Promise<readonly LeftAlone[]> {
  const rolling: RollingBack = { host, before, left: [] };
  await runSteps(rollBackSteps, rolling);
  return rolling.left;
}

interface RollingBack {
  readonly host: Host;
  /** What the journal said before this run. */
  readonly before: JournalContent | undefined;
  readonly left: LeftAlone[];
}

export const rollBackSteps: readonly Step<RollingBack>[] = [
  step('host.rolled-back', ({ host, left }) => left.push(...takeBack(host)), {
    does: 'what this run has written is taken back, the last first, as below',
    leaves: { id: 'rolled-back', says: 'the host as it was before this run; copies that nothing names' },
    mendedBy: eitherWay,
  }),
  lastStep(
    goBack,
    'the journal says what it said before; where the host never was enabled, the rest is `rbdsr disable`',
  ),
];

async function goBack({ host, before, left }: RollingBack): Promise<void> {
  if (isOrWasEnabled(before)) {
    goBackTo(host, before);
    return;
  }
  // Of a run that was cut short it is not known whom it told.
  const reverted = await revertAll(host, { tell: before === undefined ? [] : CHANGES.toReversed() });
  left.push(...reverted.left, ...reverted.problems.map((why) => ({ path: 'a service', why })));
}
