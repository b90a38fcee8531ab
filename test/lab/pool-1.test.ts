import { runScenarios } from './run-scenarios.ts';
import { shareOf } from './scenarios/all.ts';

// What usual hosts can show, on two pools beside each other: each scenario waits most of its time, for a step of its own or for Ceph.

runScenarios({ hosts: 2, monitors: 3, osds: 1 }, shareOf(1, 2));
