import { spawn } from 'node:child_process';
import { freezeProcess } from '../../../lab/machine/program.ts';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, vi } from 'vitest';
import { placeBuiltProduct } from '../../support/built-product.ts';
import type { ProfileId } from '../../../src/dom0/host-profile.ts';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What marks each host version: its inventory and, where that is not enough, a file of the stock storage manager. */
export const HOSTS: Readonly<Record<ProfileId, { readonly version: string; readonly file?: string }>> = {
  '6.5': { version: '6.5.0' },
  '7.0': { version: '7.1.2' },
  '7.3': { version: '7.6.0' },
  '8.2': { version: '8.2.1' },
  '8.3a': { version: '8.3.0' },
  '8.3b': { version: '8.3.0', file: '/opt/xensource/sm/LVMSR.py' },
  master: { version: '8.4.0', file: '/usr/libexec/sm/drivers/LVMoISCSISR' },
};

/** The built plug-in on hosts that are folders; everything is gone after the test file. */
export function usePlugin(): {
  host(id: ProfileId, settings?: string): string;
  /** `program` is sm, the worker, unless another is named. */
  run(root: string, argv: readonly string[], program?: 'sm' | 'cli' | 'plugin'): Promise<Ended>;
  log(root: string): string;
  /** A file of the product. */
  file(name: string): string;
  /** As xapi has it: the launcher and its worker. Call directories are in `<root>/run/calls`. */
  launch(root: string, request: string, program?: 'launcher.sh' | 'plugin.sh'): Promise<Ended>;
} {
  let folder = '';
  let count = 0;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rbdsr-sm-'));
    placeBuiltProduct(join(folder, 'product'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  return {
    host(id, settings) {
      count += 1;
      const root = join(folder, `host-${count}`);
      const { version, file } = HOSTS[id];
      place(root, '/etc/xensource-inventory', `PRODUCT_VERSION='${version}'\nINSTALLATION_UUID='${HOST_UUID}'\n`);
      place(root, '/var/log/SMlog', '');
      if (file !== undefined) place(root, file, '');
      if (settings !== undefined) place(root, '/etc/rbdsr/rbdsr.conf', settings);
      return root;
    },
    run(root, argv, program = 'sm') {
      return ended(process.execPath, [join(folder, `product/${program}.cjs`), ...argv], { RBDSR_ROOT: root });
    },
    launch(root, request, program = 'launcher.sh') {
      const home = join(folder, 'product');
      if (!existsSync(join(home, 'runtime'))) {
        mkdirSync(join(home, 'runtime/bin'), { recursive: true });
        symlinkSync(process.execPath, join(home, 'runtime/bin/node'));
      }
      const env = { RBDSR_ROOT: root, RBDSR_HOME: home, RBDSR_RUN: join(root, 'run') };
      return ended(join(home, program), [request], env);
    },
    file: (name) => join(folder, 'product', name),
    log(root) {
      const path = join(root, 'var/log/SMlog');
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    },
  };
}

function ended(program: string, argv: readonly string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, { env: { PATH: '/usr/bin:/bin', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export const HOST_UUID = '0f0e0d0c-0b0a-0908-0706-050403020100';

/** A file of a host. */
export function place(root: string, path: string, content: string): void {
  mkdirSync(dirname(root + path), { recursive: true });
  writeFileSync(root + path, content);
}

/** The documents the launchers of this host would answer with at their deadline. */
function lateAnswers(root: string): string[] {
  const calls = join(root, 'run/calls');
  if (!existsSync(calls)) return [];
  return readdirSync(calls)
    .map((name) => join(calls, name, 'late'))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8'));
}

/**
 * Waits until the one worker there says that it waits for this lock, then stops it: as good as one that the kernel does
 * not let go. Its pid.
 */
export async function stopWorkerAt(root: string, lockPath: string): Promise<number> {
  const worker = await vi.waitFor(() => {
    const [late = ''] = lateAnswers(root);
    expect(late).toContain(`for the lock ${lockPath}`);
    return Number(/Its process (\d+) stays/.exec(late)?.[1]);
  }, 10_000);
  await freezeProcess(worker);
  onTestFinished(() => void (existsSync(`/proc/${worker}`) && process.kill(worker, 'SIGKILL')));
  return worker;
}
