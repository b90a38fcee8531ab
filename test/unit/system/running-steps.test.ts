import { expect, test } from 'vitest';
import { lastStep, type Step } from '../../../src/base/steps.ts';
import { runSteps, runStepsAtOnce } from '../../../src/system/running-steps.ts';
import { failureOf } from '../../support/expect-error.ts';

const steps: readonly Step<string[]>[] = [
  lastStep((said) => void said.push('first'), 'the first'),
  { ...lastStep<string[]>((said) => void said.push('left out'), 'one left out'), when: () => false },
  lastStep((said) => said.push('last'), 'the last'),
];

const waiting: readonly Step<string[]>[] = [
  lastStep(async (said) => void said.push('late'), 'one that waits'),
  ...steps,
];

test('each in its turn, but for those that have nothing to do', async () => {
  const [awaited, atOnce]: [string[], string[]] = [[], []];
  await runSteps(waiting, awaited);
  runStepsAtOnce(steps, atOnce);
  expect([awaited, atOnce]).toEqual([
    ['late', 'first', 'last'],
    ['first', 'last'],
  ]);
});

test('a step that has to be awaited is refused where nobody waits, and so are those behind it', async () => {
  const said: string[] = [];
  await failureOf('internal', async () => runStepsAtOnce(waiting, said));
  expect(said).toEqual(['late']);
});
