import { runScenarios } from './run-scenarios.ts';
import { osdsFor, shareOf } from './all.ts';

// What usual hosts can show, on two pools beside each other: each scenario waits most of its time, for a step of its
// own or for Ceph.

// A lab that is kept up is one pool, for all of them (vitest.config.ts).
const scenarios = shareOf(1, process.env['RBDSR_LAB'] === undefined ? 2 : 1);
runScenarios({ hosts: 2, monitors: 3, osds: osdsFor(scenarios) }, scenarios);
