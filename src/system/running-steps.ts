import { RbdsrError } from '../base/error.ts';
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

/**
 * For what is taken down: each is tried, whatever has failed before it, and at the end the first failure is thrown. One
 * that fails does not come to its fault point.
 */
export async function tryAllSteps<Work>(steps: readonly Step<Work>[], work: Work): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) await runSteps([step], work).catch((error: unknown) => void failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Of steps that wait for nothing. */
export function runStepsAtOnce<Work>(steps: readonly Step<Work>[], work: Work): void {
  for (const { name, does, run, when } of steps) {
    if (when?.(work) === false) continue;
    if (run(work) instanceof Promise) throw new RbdsrError('internal', { what: `"${does}" has to be awaited` });
    if (name !== undefined) faultPoint(name);
  }
}
