import { lateWriter } from '../../sr/work/late-writers.ts';
import { collectorAtWork } from '../../sr/work/collector-lock.ts';
import type { PluginCall } from './plugin-call.ts';

/**
 * The master has found what a collector has begun, and asks whether one is alive here, where the master may have been,
 * or whether a write of it may still land.
 */
export async function isCollecting({ profile, sr }: PluginCall): Promise<string> {
  const holder = collectorAtWork(profile.paths, sr) ?? lateWriter(profile.paths, sr);
  return holder === undefined ? 'False' : 'True';
}
