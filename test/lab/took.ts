import type { DriverRun } from '../../lab/xapi-double/double.ts';

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** How long a scenario took, and its driver calls by name, the dearest first. */
export function took(scenario: string, ms: number, runs: readonly DriverRun[]): string {
  const calls = new Map<string, number[]>();
  for (const { request, durationMs } of runs) {
    const name = /<methodName>([^<]+)/.exec(request)?.[1] ?? 'other';
    calls.set(name, [...(calls.get(name) ?? []), durationMs]);
  }
  const rows = [...calls]
    .map(([name, times]) => ({ name, count: times.length, sum: times.reduce((sum, time) => sum + time, 0) }))
    .toSorted((a, b) => b.sum - a.sum);
  const lines = rows.map(
    ({ name, count, sum }) => `  ${name.padEnd(26)} ${String(count).padStart(3)} calls of ${seconds(sum / count)}`,
  );
  return [`${scenario}: ${seconds(ms)}`, ...lines].join('\n');
}
