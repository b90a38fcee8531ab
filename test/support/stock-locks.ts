import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Takes each lock as stock's Python does, waiting for it, and lets it go; SIGALRM ends it. */
const TAKE_ALL = `
import fcntl, signal, sys
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]) / 1000)
for path in sys.argv[2:]:
    f = open(path, "w+")
    fcntl.lockf(f, fcntl.LOCK_EX)
    fcntl.lockf(f, fcntl.LOCK_UN)
    print(path, flush=True)
`;

/** What stock's hook does with the locks of an SR; false where that takes more than `ms`. */
export async function stockHookPasses(lockDir: string, sr: string, ms: number): Promise<boolean> {
  mkdirSync(`${lockDir}/${sr}`, { recursive: true });
  return canTake(stockHookLocks(lockDir, sr), ms);
}

/** In its order (sm `cleanup.py`, abort; `resetvdis.py`, reset_sr). */
function stockHookLocks(lockDir: string, sr: string): readonly string[] {
  return ['gc_active', 'running', 'sr'].map((name) => `${lockDir}/${sr}/${name}`);
}

/** The same as a program of a host, which prints the locks it got. */
export function stockHookProgram(sr: string, ms: number): { argv: readonly string[]; prints: string } {
  const paths = stockHookLocks('/var/lock/sm', sr);
  return { argv: ['python3', '-c', TAKE_ALL, String(ms), ...paths], prints: printed(paths) };
}

/**
 * Whether another process gets these locks, one after the other, within `ms` of its start. An error where it cannot
 * even ask for them.
 */
export async function canTake(paths: readonly string[], ms: number): Promise<boolean> {
  const child = spawn('python3', ['-c', TAKE_ALL, String(ms), ...paths], { stdio: ['ignore', 'pipe', 'inherit'] });
  let taken = '';
  child.stdout.on('data', (chunk: Buffer) => (taken += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code !== 0 && signal !== 'SIGALRM')
    throw new Error(`${paths.join(', ')}: python3 ended with ${code ?? signal}, which says nothing about the locks`);
  return taken === printed(paths);
}

function printed(paths: readonly string[]): string {
  return paths.map((path) => `${path}\n`).join('');
}

const HOLD = `
import fcntl, sys
f = open(sys.argv[1], "a+")
fcntl.lockf(f, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
`;

/** Another process that holds a lock until it is disposed. */
export class OtherHolder implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async of(path: string, kind: 'shared' | 'alone'): Promise<OtherHolder> {
    mkdirSync(dirname(path), { recursive: true });
    const child = spawn('python3', ['-c', HOLD, path, kind], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return new OtherHolder(child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const end = once(this.#child, 'exit');
    this.#child.stdin?.end('\n');
    await end;
  }
}
