import { runScenarios } from './run-scenarios.ts';
import { SCENARIOS } from './scenarios/all.ts';

// Every scenario that a usual host can show.

runScenarios(
  { hosts: 2, monitors: 3, osds: 1 },
  SCENARIOS.filter(({ needs = [] }) => needs.length === 0),
);
