import { afterAll, beforeAll, describe } from 'vitest';
import { Pool } from '../../lab/pool.ts';
import { hostBasics } from './scenarios/host-basics.ts';
import { srRefusals } from './scenarios/sr-refusals.ts';
import { cleanUp, type Lab } from './scenarios/scenario.ts';

// Every scenario of the lab, one after the other on one pool, for a pool takes more than a minute to come up. Each makes its own images and
// users and leaves nothing; what a failed one has left is taken away before the next. One alone: npx vitest run --project lab -t 'name'.

const SCENARIOS: Readonly<Record<string, (lab: Lab) => void>> = {
  'what every other scenario stands on': hostBasics,
  'what sr_create refuses': srRefusals,
};

let pool: Pool | undefined;

function lab(): Pool {
  if (pool === undefined) throw new Error('the lab is not up');
  return pool;
}

beforeAll(async () => {
  pool = await Pool.start({ dom0s: 2, monitors: 3, osds: 1 });
});
afterAll(() => pool?.stop());

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  describe(name, () => {
    afterAll(() => cleanUp(lab()));
    scenario(lab);
  });
}
