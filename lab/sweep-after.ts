import { setTimeout as pause } from 'node:timers/promises';
import { processStart } from './machine/run-folder.ts';
import { sweepDeadRuns } from './machine/sweep.ts';

// `sweep-after.ts PID`: once that process has gone, takes down the runs of the lab that are nobody's any more. For who
// may not be given the time to do it.
const [pid = ''] = process.argv.slice(2);
while (processStart(Number(pid)) !== undefined) await pause(100);
await sweepDeadRuns();
