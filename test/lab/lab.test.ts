import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { Pool } from '../../lab/pool.ts';
import { brokenSrs } from './scenarios/broken-srs.ts';
import { crashes } from './scenarios/crashes.ts';
import { deadCluster } from './scenarios/dead-cluster.ts';
import { disks } from './scenarios/disks.ts';
import { foreignClients } from './scenarios/foreign-clients.ts';
import { highAvailability } from './scenarios/ha.ts';
import { hostBasics } from './scenarios/host-basics.ts';
import { mapping } from './scenarios/mapping.ts';
import { monitors } from './scenarios/monitors.ts';
import { quietAttach } from './scenarios/quiet-attach.ts';
import { srRefusals } from './scenarios/sr-refusals.ts';
import { cleanUp, type Lab } from './scenarios/scenario.ts';
import { shutdown } from './scenarios/shutdown.ts';
import { took } from './scenarios/took.ts';
import { waysIn } from './scenarios/ways-in.ts';
import { wizard } from './scenarios/wizard.ts';

// Every scenario of the lab, one after the other on one pool, for a pool takes more than a minute to come up. Each makes its own images and
// users and leaves nothing; what a failed one has left is taken away before the next. One alone: npx vitest run --project lab -t 'name'.

const SCENARIOS: Readonly<Record<string, (lab: Lab) => void>> = {
  'what every other scenario stands on': hostBasics,
  'what sr_create refuses': srRefusals,
  'the wizard': wizard,
  'other ways in': waysIn,
  'mapping an image': mapping,
  'several monitors': monitors,
  'an attach without a connection': quietAttach,
  'a cluster that does not answer': deadCluster,
  'the life of a disk': disks,
  'disks that a host attaches without xapi': highAvailability,
  'an image that others have open': foreignClients,
  'broken and contested SRs': brokenSrs,
  'a driver that is killed': crashes,
  'a host that shuts down': shutdown,
};

/**
 * On a slow machine the rest is skipped, and counted so, rather than that a run is ended from outside with nothing said. Counted from
 * where `npm test` began, or from here.
 */
const BUDGET_MINUTES = 84;
const started = Number(process.env.RBDSR_TEST_STARTED ?? Date.now());

let pool: Pool | undefined;

function lab(): Pool {
  if (pool === undefined) throw new Error('the lab is not up');
  return pool;
}

beforeAll(async () => {
  pool = await Pool.start({ dom0s: 2, monitors: 3, osds: 1 });
});
afterAll(() => pool?.stop());
beforeEach(({ skip }) => {
  skip(Date.now() - started > BUDGET_MINUTES * 60_000, `the ${BUDGET_MINUTES} minutes of a run are over`);
});

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  describe(name, () => {
    const began = { ms: 0, run: 0 };
    beforeAll(() => Object.assign(began, { ms: performance.now(), run: lab().double.runs.length }));
    afterAll(async () => {
      console.log(took(name, performance.now() - began.ms, lab().double.runs.slice(began.run)));
      await cleanUp(lab());
    });
    scenario(lab);
  });
}
