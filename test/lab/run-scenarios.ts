import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { joinPool } from '../../lab/door/join-pool.ts';
import type { Pool } from '../../lab/pool.ts';
import { type PoolOptions, startPool } from '../../lab/start-pool.ts';
import { keepEvidence } from './evidence.ts';
import type { Scenario } from './all.ts';
import { cleanUp } from './scenario.ts';
import { took } from './took.ts';
import { refuseUnrecordedCalls } from './unrecorded-calls.ts';

/**
 * On a machine that is too slow the rest fails, each test with the reason, rather than that a run is ended from outside
 * with nothing said. Counted from where `npm test` began, or from here.
 */
const BUDGET_MINUTES = 84;
const EVIDENCE_MS = 60_000;
const started = Number(process.env.RBDSR_TEST_STARTED ?? Date.now());

/**
 * Scenarios one after the other on one pool of such hosts. What a failed one has left is taken away before the next.
 * One alone: `npx vitest run --project lab -t 'its title'`.
 */
export function runScenarios(options: PoolOptions, scenarios: readonly Scenario[]): void {
  let pool: Pool | undefined;
  const lab = (): Pool => {
    if (pool === undefined) throw new Error('the lab is not up');
    return pool;
  };

  beforeAll(async () => {
    const door = process.env['RBDSR_LAB'];
    console.log(
      door === undefined ? 'starts a lab of its own' : `joins the lab behind ${door}, after any run that has`,
    );
    pool = await (door === undefined ? startPool(options) : joinPool(door));
    if (door === undefined) return;
    await cleanUp(pool);
    await refuseUnrecordedCalls(pool);
  });
  afterAll(() => pool?.stop());
  beforeEach(({ task, onTestFailed }) => {
    if (Date.now() - started > BUDGET_MINUTES * 60_000)
      throw new Error(`not begun: the ${BUDGET_MINUTES} minutes of a run are over`);
    onTestFailed(() => told(lab(), task.name), EVIDENCE_MS);
  });

  async function told(failed: Pool, test: string): Promise<void> {
    console.error(`what ${test} has left to look at: ${await keepEvidence(failed, test)}`);
  }

  for (const { title, declare } of scenarios) {
    describe(title, () => {
      const began = { ms: 0, run: 0 };
      beforeAll(() => Object.assign(began, { ms: performance.now(), run: lab().double.runs.length }));
      // oxlint-disable-next-line no-empty-pattern -- vitest reads the pattern and takes no other
      afterAll(async ({}, suite) => {
        // A scenario whose preparation failed has no test that failed.
        if (suite.result?.state === 'fail' && suite.tasks.every(({ result }) => result?.state !== 'fail'))
          await told(lab(), title);
        console.log(took(title, performance.now() - began.ms, lab().double.runs.slice(began.run)));
        await cleanUp(lab());
        await refuseUnrecordedCalls(lab());
      });
      declare(lab);
    });
  }
}
