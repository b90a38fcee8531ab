import { runScenarios } from './run-scenarios.ts';
import { faults } from './scenarios/faults.ts';

// The lab's own faults, on a cluster whose OSDs keep copies.

runScenarios({ hosts: 2, monitors: 3, osds: 3 }, [{ title: 'what can go wrong', declare: faults }]);
