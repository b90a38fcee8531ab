import type { WorkResources } from '../sr/work/work-resources.ts';
import { nowMs } from '../base/now.ts';

/**
 * What `work` gives, its locks released. Where it fails, or has not ended after `seconds`, when the launcher answers
 * for it, the call becomes late: what still runs for it goes on under a lock of our own. That is a timer's work, so it
 * needs this thread to be free: nothing that may wait for a cluster is called synchronously
 * (docs/decisions/0017-late-writers.md).
 */
export async function answerInTime<T>(resources: WorkResources, seconds: number, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => void resources.becomeLate(), Math.max(0, lateAfterMs(seconds) - nowMs()));
  try {
    const answer = await work();
    await resources.releaseLocks();
    return answer;
  } catch (error) {
    await resources.becomeLate();
    throw error;
  } finally {
    clearTimeout(timer);
    await resources.close();
  }
}

/**
 * The launcher counts from its own start, which was a little before ours. Our own deadline is earlier still
 * (late-answer.ts).
 */
function lateAfterMs(seconds: number): number {
  return 1000 * seconds - Math.min(500, 50 * seconds);
}
