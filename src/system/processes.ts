import { readFileSync } from 'node:fs';
import { namesIn } from './files.ts';

/** How /proc answers of a process that has ended meanwhile, or that nobody may look into. */
export const PROCESS_GONE = ['ESRCH', 'EACCES'];

/** What /proc tells about a running process, in words that hold no secret. */
export interface ProcessFacts {
  readonly pid: number;
  /** The pid of its parent; 0 for none. */
  readonly parent: number;
  /** "rbdsr sm sr_attach", "python3 /opt/xensource/sm/LVMoISCSISR sr_scan". */
  readonly command: string;
  /** Milliseconds since 1970; undefined where /proc does not tell. */
  readonly startedAt?: number;
}

/** Undefined when there is no such process (any more). */
export function processFacts(pid: number): ProcessFacts | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const startedAt = startTime(stat);
  const cmdline = mayHoldItsMemory(pid) ? '' : (read(`/proc/${pid}/cmdline`) ?? '');
  const command = commandOf(cmdline, read(`/proc/${pid}/comm`)?.trim() ?? '');
  const parent = Number(fieldOf(stat, 4)) || 0;
  return startedAt === undefined ? { pid, parent, command } : { pid, parent, command, startedAt };
}

/**
 * The program, its script and, for a storage driver, the command in its request. Whole command lines are never shown:
 * the stock driver has the request in its argv, and a request may hold a password.
 */
export function commandOf(cmdline: string, comm: string): string {
  const args = cmdline.split('\0').filter((arg) => arg !== '');
  const ours = args.find((arg) => arg.startsWith('rbdsr '));
  if (ours !== undefined) return ours.slice(0, 80);
  const [program, script] = args;
  if (program === undefined) return comm === '' ? '?' : comm;
  const words = [program.split('/').at(-1) ?? program];
  if (script !== undefined && /^\/[\w./+-]+$/.test(script)) words.push(script);
  const method = /<methodName>([a-z_]{1,40})<\/methodName>/.exec(cmdline)?.[1];
  if (method !== undefined) words.push(method);
  return words.join(' ').slice(0, 160);
}

/** "pid 123 (rbdsr sm sr_attach) since 2026-01-31T10:00:00Z (12 s)". */
export function describeProcess(pid: number, now = Date.now()): string {
  const facts = processFacts(pid);
  if (facts === undefined) return `pid ${pid}`;
  const head = `pid ${pid} (${facts.command})`;
  if (facts.startedAt === undefined) return head;
  const since = `${new Date(facts.startedAt).toISOString().slice(0, 19)}Z`;
  return `${head} since ${since} (${Math.max(0, Math.round((now - facts.startedAt) / 1000))} s)`;
}

/**
 * The command line is read from the memory of the process, whose lock a thread that waits for a dead server or disk
 * (state D) may hold for good: then its name has to do.
 */
function mayHoldItsMemory(pid: number): boolean {
  return namesIn(`/proc/${pid}/task`, PROCESS_GONE).some((thread) =>
    (read(`/proc/${pid}/task/${thread}/stat`) ?? '').replace(/^.*\) /s, '').startsWith('D'),
  );
}

/**
 * Of /proc/pid/stat, counted as proc(5) does; the third and those after it, since the second is a name that may hold
 * spaces.
 */
function fieldOf(stat: string, number: number): string | undefined {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[number - 3];
}

/** Field 22 is the start in clock ticks (100 a second on x86) since boot. */
function startTime(stat: string): number | undefined {
  const ticks = Number(fieldOf(stat, 22));
  const boot = Number(/^btime (\d+)$/m.exec(read('/proc/stat') ?? '')?.[1]);
  return Number.isFinite(ticks) && Number.isFinite(boot) ? boot * 1000 + ticks * 10 : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
