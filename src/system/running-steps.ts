import type { Step } from '../base/steps.ts';
import { faultPoint } from './fault-point.ts';

/** One after the other; tests can kill the process after each that has a name. */
export async function runSteps<Work>(steps: readonly Step<Work>[], work: Work): Promise<void> {
  for (const { name, run, when } of steps) {
    if (when?.(work) === false) continue;
    await run(work);
    if (name !== undefined) faultPoint(name);
  }
}
