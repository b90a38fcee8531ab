import { spawn } from 'node:child_process';
import { nowMs } from '../base/now.ts';
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { KiB, MiB } from '../base/units.ts';

/** How a program ended, and what it said. */
export interface RunOutcome {
  readonly program: string;
  readonly args: readonly string[];
  readonly end: RunEnd;
  readonly stdout: string;
  /** At most the last 4 KiB. */
  readonly stderr: string;
  readonly durationMs: number;
}

export type RunEnd =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'not-started'; readonly errno: string };

export interface RunOptions {
  readonly deadline: Deadline;
  readonly stdin?: string | Uint8Array;
  /** Added to the fixed environment (PATH and LC_ALL). */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a program without a shell, in a process group of its own. Never throws for how the program ends. Shortly before
 * the deadline the group gets SIGTERM, then SIGKILL; at the deadline the outcome is 'timeout' even if the program sits
 * in the kernel and cannot die. Behind the deadline it is not started.
 */
export function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<RunOutcome> {
  const started = nowMs();
  return new Promise((resolve) => {
    const stdout = new Collected(STDOUT_LIMIT, 'head');
    const stderr = new Collected(STDERR_LIMIT, 'tail');
    const finish = (end: RunEnd): void => {
      for (const timer of timers) clearTimeout(timer);
      timers = [];
      const durationMs = nowMs() - started;
      resolve({ program, args, end, stdout: stdout.text(), stderr: stderr.text(), durationMs });
    };
    let timers: NodeJS.Timeout[] = [];
    // A process that was stopped meanwhile, and has lost its locks, would start what is not to happen any more.
    if (options.deadline.expired) {
      finish({ kind: 'timeout' });
      return;
    }
    let child: ChildProcessByStdio<Writable, Readable, Readable>;
    try {
      child = spawn(program, args, { stdio: 'pipe', detached: true, env: { ...FIXED_ENVIRONMENT, ...options.env } });
    } catch (error) {
      finish(notStarted(error));
      return;
    }
    let end: RunEnd | undefined;
    const after = (ms: number, action: () => void): void => {
      timers.push(setTimeout(action, ms));
    };
    child.on('error', (error) => {
      if (child.pid === undefined) finish(notStarted(error));
    });
    child.on('exit', (code, signal) => {
      end ??= signal === null ? { kind: 'exit', code: code ?? 0 } : { kind: 'signal', signal };
      // A daemon that the program left behind may hold its pipes open for ever.
      after(PIPE_GRACE_MS, () => abandon(child));
    });
    child.on('close', () => finish(end ?? { kind: 'timeout' }));
    child.stdin.on('error', ignoreClosedPipe);
    child.stdin.end(options.stdin ?? '');
    child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.add(chunk);
      if (!stdout.overflowed) return;
      end ??= { kind: 'signal', signal: 'SIGPIPE' };
      killGroup(child, 'SIGKILL');
    });
    const left = options.deadline.leftMs;
    const grace = Math.min(1000, left / 5);
    after(left - grace, () => {
      end ??= { kind: 'timeout' };
      killGroup(child, 'SIGTERM');
    });
    after(left - grace / 2, () => killGroup(child, 'SIGKILL'));
    after(left, () => {
      // Not unref'd: a program that the kernel will not let go of may still write, so this process, and with it its
      // locks, outlives it.
      abandon(child);
      finish(end ?? { kind: 'timeout' });
    });
  });
}

export function succeeded({ end }: Pick<RunOutcome, 'end'>): boolean {
  return end.kind === 'exit' && end.code === 0;
}

/** Its stdout. Throws 'program-missing', 'program-failed' or 'deadline'. */
export async function runChecked(program: string, args: readonly string[], options: RunOptions): Promise<string> {
  const outcome = await runProgram(program, args, options);
  if (succeeded(outcome)) return outcome.stdout;
  throw runFailure(outcome);
}

/** The error that says how a program ended, for a caller that looked at the outcome first. */
export function runFailure(outcome: RunOutcome): RbdsrError {
  const { program, end } = outcome;
  const stderr = outcome.stderr.trim();
  if (end.kind === 'not-started' && end.errno === 'ENOENT') {
    return new RbdsrError('program-missing', {
      what: `the program ${program} is not installed on this host`,
      facts: { program },
    });
  }
  const command = [program, ...outcome.args].join(' ').slice(0, 400);
  const what = `"${command}" ${fate(outcome)}${stderr === '' ? '' : ` (${stderr})`}`;
  if (end.kind === 'timeout') {
    return new RbdsrError('deadline', { what, facts: { program, waitedFor: command, stderr } });
  }
  const facts = end.kind === 'exit' ? { program, code: end.code, stderr } : { program, stderr };
  return new RbdsrError('program-failed', { what, facts });
}

function fate({ end, durationMs }: RunOutcome): string {
  if (end.kind === 'exit') return `failed with exit code ${end.code}`;
  if (end.kind === 'signal') return `was killed by ${end.signal}`;
  if (end.kind === 'not-started') return `could not be started: ${end.errno}`;
  return `did not finish in ${(durationMs / 1000).toFixed(1)} s`;
}

const FIXED_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const STDOUT_LIMIT = 64 * MiB;
const STDERR_LIMIT = 4 * KiB;
const PIPE_GRACE_MS = 1000;

/** The first or the last `limit` bytes of what comes in. */
export class Collected {
  overflowed = false;
  #chunks: Buffer[] = [];
  #length = 0;
  readonly #limit: number;
  readonly #keep: 'head' | 'tail';

  constructor(limit: number, keep: 'head' | 'tail') {
    this.#limit = limit;
    this.#keep = keep;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length <= this.#limit) return;
    this.overflowed = true;
    const all = Buffer.concat(this.#chunks);
    const kept = this.#keep === 'head' ? all.subarray(0, this.#limit) : all.subarray(-this.#limit);
    this.#chunks = [Buffer.from(kept)];
    this.#length = kept.length;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

function notStarted(error: unknown): RunEnd {
  return { kind: 'not-started', errno: (error as NodeJS.ErrnoException).code ?? 'unknown' };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function abandon(child: ChildProcess): void {
  for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
}

/** A program need not read what it is given. */
function ignoreClosedPipe(): void {}
