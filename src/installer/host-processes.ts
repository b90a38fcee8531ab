import { readFileSync } from 'node:fs';
import { namesIn } from '../system/files.ts';
import type { Host } from './host.ts';

export interface HostProcess {
  readonly pid: number;
  /** Milliseconds since 1970, by the host's present clock. */
  readonly startedAt: number;
}

/** The processes of the host whose program is called `name`, the oldest first. */
export function processesCalled(host: Host, name: string): readonly HostProcess[] {
  return namesIn(host.at('/proc'))
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => processCalled(host, name, Number(pid)) ?? [])
    .sort((a, b) => a.startedAt - b.startedAt);
}

/** Undefined where no process of that number is called so. */
export function processCalled(host: Host, name: string, pid: number): HostProcess | undefined {
  const [, called, rest = ''] = /\((.*)\) (.*)/s.exec(read(host, `/proc/${pid}/stat`)) ?? [];
  if (called !== name) return undefined;
  // proc(5): field 22 of stat is the start, in hundredths of a second since boot. /proc/uptime counts those too; btime
  // only whole seconds.
  const start = Number(rest.split(' ')[19]) * 10;
  const uptime = Number(/^\S+/.exec(read(host, '/proc/uptime'))?.[0]) * 1000;
  const startedAt = Date.now() - uptime + start;
  return Number.isFinite(startedAt) ? { pid, startedAt } : undefined;
}

/** Nothing for a process that has just ended. */
function read(host: Host, path: string): string {
  try {
    return readFileSync(host.at(path), 'latin1');
  } catch {
    return '';
  }
}
