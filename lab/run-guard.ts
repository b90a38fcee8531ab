import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { RunFolder } from './machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from './machine/sweep.ts';

// `node scripts/run-ts.mjs lab/run-guard.ts PROGRAM ARGUMENT...`: runs the tests as a run of the lab. What they leave
// on the machine (processes with the run's mark, mounts and loop devices of its TMPDIR, runs of the lab they started)
// goes when the program ends, also by a signal; after a kill -9 the next run takes it down first. Ends with the
// program's exit code.
const GRACE_MS = 8000;

const swept = await sweepDeadRuns();
if (swept.length > 0) process.stderr.write(`cleaned up after ${swept.length} interrupted run(s)\n`);
const run = RunFolder.create();
const [program = '', ...args] = process.argv.slice(2);
let interruption: NodeJS.Signals | undefined;
const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
  stdio: 'inherit',
  env: { ...process.env, ...run.mark, TMPDIR: run.socketPath },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(signal));
const parent = process.ppid;
const watch = setInterval(() => process.ppid !== parent && interrupt('SIGTERM'), 500); // whoever called us was killed
const code = await ended(child);
clearInterval(watch);
await sweepRun(run.id);
await sweepDeadRuns();
process.exitCode = interruption === undefined ? code : 128 + constants.signals[interruption];

/** The program gets a moment to end by itself; then sweeping ends it and everything it started. */
function interrupt(signal: NodeJS.Signals): void {
  if (interruption !== undefined) return;
  interruption = signal;
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
