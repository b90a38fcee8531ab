import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { Pool, type PoolOptions } from '../../lab/pool.ts';
import type { Scenario } from './scenarios/all.ts';
import { cleanUp } from './scenarios/scenario.ts';
import { took } from './scenarios/took.ts';

/**
 * On a slow machine the rest is skipped, and counted so, rather than that a run is ended from outside with nothing said. Counted from
 * where `npm test` began, or from here.
 */
const BUDGET_MINUTES = 84;
const started = Number(process.env.RBDSR_TEST_STARTED ?? Date.now());

/**
 * Scenarios one after the other on one pool of such hosts. What a failed one has left is taken away before the next. One alone:
 * `npx vitest run --project lab -t 'its title'`.
 */
export function runScenarios(options: PoolOptions, scenarios: readonly Scenario[]): void {
  let pool: Pool | undefined;
  const lab = (): Pool => {
    if (pool === undefined) throw new Error('the lab is not up');
    return pool;
  };

  beforeAll(async () => {
    pool = await Pool.start(options);
  });
  afterAll(() => pool?.stop());
  beforeEach(({ skip }) => {
    skip(Date.now() - started > BUDGET_MINUTES * 60_000, `the ${BUDGET_MINUTES} minutes of a run are over`);
  });

  for (const { title, declare } of scenarios) {
    describe(title, () => {
      const began = { ms: 0, run: 0 };
      beforeAll(() => Object.assign(began, { ms: performance.now(), run: lab().double.runs.length }));
      afterAll(async () => {
        console.log(took(title, performance.now() - began.ms, lab().double.runs.slice(began.run)));
        await cleanUp(lab());
      });
      declare(lab);
    });
  }
}
