import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { statFields } from './process-stat.ts';

export interface Outcome {
  /** Exit code; 128 + signal number is not invented: a signal gives -1. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly stdin?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program of this machine to its end; never throws for how it ends. */
export function runProgram(argv: readonly string[], o: ProgramOptions = {}): Promise<Outcome> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: o.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...o.env },
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => undefined); // the program may end without reading
    child.stdin.end(o.stdin ?? '');
    child.once('error', (error) => resolve({ code: 127, stdout: '', stderr: error.message }));
    child.once('close', (code) =>
      resolve({ code: code ?? -1, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }),
    );
  });
}

/** The program's stdout, or an error with its last words. */
export async function check(argv: readonly string[], o: ProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runProgram(argv, o);
  if (code === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${code}: ${(stderr || stdout).trim().slice(-2000)}`);
}

/**
 * Starts a program that lives as long as this process at most: the kernel kills it when we die, kill -9 included. Its
 * output goes to `logPath`.
 */
export function startDaemon(argv: readonly string[], logPath: string): ChildProcess {
  const log = openSync(logPath, 'a');
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], { stdio: ['ignore', log, log], detached: true });
}

/**
 * Stops a process like a machine that hangs: no connection is closed. Resolves when the last of its threads stands
 * still, which on a busy machine is later than the signal: each stops when it next has its turn.
 */
export async function freezeProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  while (statesOf(pid).some((state) => !'TtZX'.includes(state))) await pause(1);
}

/** Of a program that was started; throws for one that was not. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} was not started`);
  return child.pid;
}

export function thawProcess(pid: number): void {
  process.kill(pid, 'SIGCONT');
}

/** Of each thread, as in `man 5 proc`. */
function statesOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const [state] = statFields(`/proc/${pid}/task/${thread}/stat`) ?? [];
    return state ?? []; // it has ended meanwhile
  });
}

/** Ends a daemon of ours and waits until it is gone. */
export async function stopDaemon(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  await gone;
}
