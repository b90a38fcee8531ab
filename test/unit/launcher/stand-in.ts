import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { Deadline } from '../../../src/base/deadline.ts';

const LAUNCHER = join(import.meta.dirname, '../../../src/main/launcher.sh');

export interface LauncherEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/**
 * An installation whose worker is a script of the test. It is removed, with every process that belongs to it, when
 * disposed.
 */
export class Installation implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'rbdsr-system-launcher-'));
  readonly home = join(this.root, 'home');
  readonly run = join(this.root, 'run');
  readonly #shell: string;

  constructor(shell: string) {
    this.#shell = shell;
    mkdirSync(join(this.home, 'runtime/bin'), { recursive: true });
    symlinkSync(process.execPath, join(this.home, 'runtime/bin/node'));
    buildSync({
      entryPoints: [join(import.meta.dirname, '../../../src/system/call-directory.ts')],
      outfile: join(this.home, 'call-directory.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
  }

  /** The worker's code sees `call`, its side of the call's directory, and `request`. */
  worker(code: string): void {
    const prologue = `
      const { openCallDirectory } = require('./call-directory.cjs');
      const fs = require('node:fs');
      const call = openCallDirectory(process.env);
      const request = fs.readFileSync(0, 'utf8');
      process.on('exit', () => call.finish());
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    `;
    writeFileSync(join(this.home, 'sm.cjs'), `${prologue}\n(async () => {${code}\n})();`);
  }

  start(...args: readonly string[]): ChildProcess {
    return this.startBy([this.#shell, LAUNCHER], ...args);
  }

  /** By another interpreter, or another copy of the launcher. */
  startBy([program = '', ...before]: readonly string[], ...args: readonly string[]): ChildProcess {
    return spawn(program, [...before, ...args], {
      env: { RBDSR_HOME: this.home, RBDSR_RUN: this.run, TEST_ROOT: this.root },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** The launcher as a host has it: the driver's entry is a link to the file, which its package has made a program. */
  driverEntry(text: string): string {
    writeFileSync(join(this.home, 'launcher.sh'), text, { mode: 0o755 });
    const entry = join(this.root, 'RBDSR');
    symlinkSync(join(this.home, 'launcher.sh'), entry);
    return entry;
  }

  /** The launcher's end with everything it said, once nobody has its pipes open any more. */
  call(...args: readonly string[]): Promise<LauncherEnd> {
    return ended(this.start(...args));
  }

  file(name: string): string {
    return join(this.root, name);
  }

  /** The directories of calls that are there now. */
  calls(): string[] {
    return readdirSync(join(this.run, 'calls'));
  }

  /** Processes of this installation that live, by their environment. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(`TEST_ROOT=${this.root}`))
      .map(Number);
  }

  /** Resolves when every process and every call's directory is gone. */
  async settled(): Promise<void> {
    const nothing = (): true | undefined => (this.processes().length + this.calls().length === 0 ? true : undefined);
    await Deadline.after(15_000).until(nothing, 'the processes and directories of a call to go');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.processes()) endProcess(pid);
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function ended(child: ChildProcess): Promise<LauncherEnd> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
    });
  });
}

/** Empty for a process that has ended, reaped or not. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

/** One that has ended between the look and the signal is ended as well. */
function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
