import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Deadline } from '../src/base/deadline.ts';
import { MiB } from '../src/base/units.ts';
import { runChecked } from '../src/system/run.ts';
import { encodeCall } from '../src/xmlrpc/encode.ts';
import type { Bench, Row } from './bench.ts';
import { ServedVhd } from './served-vhd.ts';

const REQUEST = encodeCall('sr_get_driver_info', [
  { host_ref: 'OpaqueRef:H', command: 'sr_get_driver_info', args: [], device_config: {} },
]);
const DISK_BYTES = 256 * MiB;

/** Resident memory of each process of ours: the highest that the kernel saw (VmHWM), or what an idle one has (VmRSS). */
export const memoryBench: Bench = {
  name: 'memory',
  title: 'Memory of each process',
  async run(report) {
    const home = mkdtempSync(join(tmpdir(), 'rbdsr-bench-memory-'));
    try {
      const programs = await peaksOfPrograms(home);
      report('launcher and worker measured');
      const server = await memoryOfServer();
      const reference = { name: 'node -e 0', value: programs.node };
      return [
        row('launcher (sh), peak', programs.launcher),
        row('worker, sr_get_driver_info, peak', programs.worker, reference),
        row('NBD server, idle', server.idle, reference),
        row('NBD server, under load, peak', server.peak, reference),
      ];
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
};

function row(metric: string, value: number, reference?: Row['reference']): Row {
  return reference === undefined ? { metric, value, unit: 'MiB' } : { metric, value, unit: 'MiB', reference };
}

async function peaksOfPrograms(home: string): Promise<{ node: number; launcher: number; worker: number }> {
  const product = join(home, 'product');
  execFileSync(process.execPath, ['scripts/build.mjs', product], { stdio: 'pipe' });
  mkdirSync(join(product, 'runtime/bin'), { recursive: true });
  symlinkSync(process.execPath, join(product, 'runtime/bin/node'));
  mkdirSync(join(home, 'root/etc'), { recursive: true });
  writeFileSync(join(home, 'root/etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='bench'\n");
  const env = { RBDSR_ROOT: join(home, 'root'), RBDSR_HOME: product, RBDSR_RUN: join(home, 'run') };
  const bare = await peaks([process.execPath, '-e', 'setTimeout(() => {}, 100)'], env);
  const call = await peaks([join(product, 'launcher.sh'), REQUEST], env);
  return { node: bare.own, launcher: call.own, worker: call.largestChild };
}

/** Looks at the program and at what it starts, some of it in sessions of its own, until it ends. MiB. */
async function peaks(
  [program = '', ...args]: readonly string[],
  env: Record<string, string>,
): Promise<{ own: number; largestChild: number }> {
  const child = spawn(program, args, { env: { ...env, PATH: '/usr/bin:/bin' }, stdio: 'ignore' });
  const pid = child.pid ?? 0;
  let own = 0;
  let largestChild = 0;
  while (child.exitCode === null && child.signalCode === null) {
    own = Math.max(own, memory(pid, 'VmHWM'));
    for (const one of childrenOf(pid)) largestChild = Math.max(largestChild, memory(one, 'VmHWM'));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { own, largestChild };
}

async function memoryOfServer(): Promise<{ idle: number; peak: number }> {
  const vhd = await ServedVhd.create(DISK_BYTES);
  try {
    const pid = await vhd.start();
    const idle = memory(pid, 'VmRSS');
    for (const [size, depth, count] of [
      [MiB, 16, 1024],
      [4096, 64, 20_000],
    ] as const) {
      for (const direction of [[], ['-w']]) {
        const shape = ['-s', String(size), '-d', String(depth), '-c', String(count)];
        const args = ['bench', '-f', 'raw', ...direction, ...shape, vhd.uri];
        await runChecked('qemu-img', args, { deadline: Deadline.after(120_000) });
      }
    }
    return { idle, peak: memory(pid, 'VmHWM') };
  } finally {
    await vhd.remove();
  }
}

/** MiB; 0 for a process that is gone. */
function memory(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const kilobytes = new RegExp(`^${field}:\\s+([0-9]+) kB`, 'm').exec(read(`/proc/${pid}/status`))?.[1];
  return Number(kilobytes ?? 0) / 1024;
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}

function parentOf(pid: string): number {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
