// How fast this machine is: what times of runs are compared with. Plain JavaScript, since the programs that `npm run`
// starts read it unbuilt.
import { spawnSync } from 'node:child_process';

/** `node -e 0` on an idle machine of two cores for which the times in the documents hold. */
export const REFERENCE_MS = 40;
const ROUNDS = 7;

/**
 * How long `node -e 0` takes here, milliseconds: the shortest of a few, since anything else that runs only adds to it.
 */
export function bareNodeMs() {
  const times = Array.from({ length: ROUNDS }, () => {
    const started = performance.now();
    spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
    return performance.now() - started;
  });
  return Math.min(...times);
}

/** How much longer than on the reference machine things may take; a faster machine is given no less. */
export function factorOf(nodeMs) {
  return Math.max(1, nodeMs / REFERENCE_MS);
}
