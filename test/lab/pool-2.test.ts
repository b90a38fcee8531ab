import { runScenarios } from './run-scenarios.ts';
import { osdsFor, shareOf } from './all.ts';

// What usual hosts can show, on two pools beside each other: each scenario waits most of its time, for a step of its
// own or for Ceph.

const scenarios = shareOf(2, 2);
runScenarios({ hosts: 2, monitors: 3, osds: osdsFor(scenarios) }, scenarios);
