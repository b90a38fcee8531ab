import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { statFields } from '../../../lab/machine/process-stat.ts';
import { freezeProcess, pidOf, thawProcess } from '../../../lab/machine/program.ts';

/** Four threads that are never idle, in a process that is on a busy machine by that alone. */
const BUSY = `
const { Worker } = require('node:worker_threads');
for (let i = 0; i < 4; i += 1) new Worker('for (;;);', { eval: true });
`;

/** What its threads have been given of the processors so far, in ticks (`man 5 proc`, utime and stime). */
function ticksOf(pid: number): number {
  const [user, system] = statFields(`/proc/${pid}/stat`)?.slice(11, 13) ?? [];
  return Number(user) + Number(system);
}

test('what is frozen does nothing from then on, until it is thawed', async () => {
  const busy = spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' });
  try {
    const pid = pidOf(busy);
    const works = (beyond: number): Promise<true> =>
      Deadline.after(30_000).until(() => (ticksOf(pid) > beyond ? true : undefined), 'the process to work');
    await works(50);
    for (let round = 0; round < 10; round += 1) {
      await freezeProcess(pid);
      const before = ticksOf(pid);
      await pause(50);
      expect(ticksOf(pid)).toBe(before);
      thawProcess(pid);
      await works(before);
    }
  } finally {
    busy.kill('SIGKILL');
  }
});
