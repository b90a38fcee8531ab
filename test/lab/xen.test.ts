import { runScenarios } from './run-scenarios.ts';
import { thatNeedXen } from './all.ts';

// What needs Xen, on two emulated dom0s; the usual host beside them, which is the pool's master, makes the SRs and
// disks.

runScenarios({ hosts: 1, xenHosts: 2, monitors: 3 }, thatNeedXen());
