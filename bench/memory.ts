import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { statFields } from '../lab/machine/process-stat.ts';
import { Deadline } from '../src/base/deadline.ts';
import { MiB } from '../src/base/units.ts';
import { runChecked } from '../src/system/run.ts';
import type { Bench, Row } from './bench.ts';
import { DRIVER_INFO_REQUEST, productHome } from './product-home.ts';
import { ServedVhd } from './served-vhd.ts';

const DISK_BYTES = 256 * MiB;

/**
 * Resident memory of each process of ours: the highest that the kernel saw (VmHWM), or what an idle one has (VmRSS).
 */
export const memoryBench: Bench = {
  name: 'memory',
  title: 'Memory of each process',
  async run(report) {
    const programs = await peaksOfPrograms();
    report('launcher and worker measured');
    const server = await memoryOfServer();
    const reference = { name: 'node -e 0', value: programs.node };
    return [
      row('launcher (sh), peak', programs.launcher),
      row('worker, sr_get_driver_info, peak', programs.worker, reference),
      row('NBD server, idle', server.idle, reference),
      row('NBD server, under load, peak', server.peak, reference),
    ];
  },
};

function row(metric: string, value: number, reference?: Row['reference']): Row {
  return reference === undefined ? { metric, value, unit: 'MiB' } : { metric, value, unit: 'MiB', reference };
}

async function peaksOfPrograms(): Promise<{ node: number; launcher: number; worker: number }> {
  using home = productHome();
  const bare = await peaks([process.execPath, '-e', 'setTimeout(() => {}, 100)'], home.env);
  const call = await peaks([join(home.product, 'launcher.sh'), DRIVER_INFO_REQUEST], home.env);
  return { node: bare.own, launcher: call.own, worker: call.largestChild };
}

/** Looks at the program and at what it starts, some of it in sessions of its own, until it ends. MiB. */
async function peaks(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ own: number; largestChild: number }> {
  const child = spawn(program, args, { env, stdio: 'ignore' });
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
  return Number(statFields(`/proc/${pid}/stat`)?.[1] ?? '');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
