import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

/** How a child process ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

export interface ChildProgram extends Disposable {
  /** Killed after `timeout` ms; 0 is never. */
  run(args: readonly string[], env?: Readonly<Record<string, string>>, timeout?: number): Promise<ChildEnd>;
}

/**
 * A TypeScript program made runnable in processes of its own, so that a test can kill them: bundled once, removed when
 * disposed.
 */
export async function childProgram(entry: string): Promise<ChildProgram> {
  const folder = mkdtempSync(`${import.meta.dirname}/../../node_modules/.rbdsr-lvm-`);
  const file = `${folder}/child.mjs`;
  await build({
    entryPoints: [entry],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  }).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    run: (args, env = {}, timeout = 0) =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [file, ...args], {
          env: { ...process.env, ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
          timeout,
          killSignal: 'SIGKILL',
        });
        const chunks: Buffer[] = [];
        child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
        child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
        child.once('error', reject);
        child.once('close', (code, signal) => resolve({ code, signal, output: Buffer.concat(chunks).toString() }));
      }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
