import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { Deadline } from '../src/base/deadline.ts';
import { MiB } from '../src/base/units.ts';
import { runChecked } from '../src/system/run.ts';
import { type Aim, type Bench, median, type Row } from './bench.ts';
import { ServedVhd } from './served-vhd.ts';

/** What fio, the client of both servers, is told. Random blocks come in the order of one seed, each once. */
interface Load {
  readonly metric: string;
  readonly unit: 'MiB/s' | 'requests/s';
  readonly pattern: 'read' | 'write' | 'randread' | 'randwrite';
  readonly bytes: number;
  readonly depth: number;
  readonly count: number;
  readonly aim: number;
}

const ROUNDS = 5;
const DISK_BYTES = 1024 * MiB;
const SEQUENTIAL = { unit: 'MiB/s', bytes: MiB, depth: 4, count: 1024, aim: 0.7 } as const;
const SMALL = { unit: 'requests/s', bytes: 4096, aim: 0.5 } as const;

const LOADS: readonly Load[] = [
  { ...SEQUENTIAL, metric: 'read 1 MiB sequential', pattern: 'read' },
  { ...SEQUENTIAL, metric: 'overwrite 1 MiB sequential', pattern: 'write' },
  { ...SMALL, metric: 'read 4 KiB random, depth 1', pattern: 'randread', depth: 1, count: 8000 },
  { ...SMALL, metric: 'overwrite 4 KiB random, depth 1', pattern: 'randwrite', depth: 1, count: 4000 },
  { ...SMALL, metric: 'read 4 KiB random, depth 16', pattern: 'randread', depth: 16, count: 30_000 },
  { ...SMALL, metric: 'overwrite 4 KiB random, depth 16', pattern: 'randwrite', depth: 16, count: 16_000 },
];

/**
 * Both servers serve the same allocated VHD, one after the other, and the same client asks both. They take turns within
 * a round.
 */
export const nbdBench: Bench = {
  name: 'nbd',
  title: 'NBD server beside qemu-nbd --cache=none --aio=native, the same allocated dynamic VHD',
  async run(report) {
    const vhd = await ServedVhd.create(DISK_BYTES);
    try {
      const samples = LOADS.map(() => ({ ours: [] as number[], theirs: [] as number[] }));
      for (let round = 1; round <= ROUNDS; round += 1) {
        await vhd.start();
        for (const [index, load] of LOADS.entries()) samples[index]?.ours.push(await measure(load, vhd.uri));
        await vhd.stop();
        const qemu = await QemuNbd.start(vhd.path, `${vhd.folder}/qemu.sock`);
        for (const [index, load] of LOADS.entries()) samples[index]?.theirs.push(await measure(load, qemu.uri));
        await qemu.stop();
        report(`round ${round} of ${ROUNDS}`);
      }
      return LOADS.map((load, index) => rowOf(load, samples[index]?.ours ?? [], samples[index]?.theirs ?? []));
    } finally {
      await vhd.remove();
    }
  },
};

function rowOf({ metric, unit, aim: limit }: Load, ours: readonly number[], theirs: readonly number[]): Row {
  const aim: Aim = { of: 'ratio', bound: 'at least', limit };
  return { metric, value: median(ours), unit, reference: { name: 'qemu-nbd', value: median(theirs) }, aim };
}

/** What fio says of one direction (fio(1), "JSON output"), as far as it is read here. */
interface FioResult {
  readonly iops: number;
  /** Bytes per second. */
  readonly bw_bytes: number;
  readonly total_ios: number;
}

async function measure(load: Load, uri: string): Promise<number> {
  const { pattern, bytes, depth, count } = load;
  const shape = [`--rw=${pattern}`, `--bs=${bytes}`, `--iodepth=${depth}`, `--number_ios=${count}`];
  const disk = ['--name=load', '--ioengine=nbd', `--uri=${uri}`, `--size=${DISK_BYTES}`, '--randrepeat=1'];
  const args = [...disk, ...shape, '--output-format=json'];
  const text = await runChecked('fio', args, { deadline: Deadline.after(120_000) });
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as { jobs: Record<'read' | 'write', FioResult>[] };
  const result = jobs[0]?.[pattern.endsWith('read') ? 'read' : 'write'];
  if (result?.total_ios !== count) throw new Error(`fio did ${result?.total_ios} of ${count} requests: ${text}`);
  return load.unit === 'MiB/s' ? result.bw_bytes / MiB : result.iops;
}

class QemuNbd {
  readonly uri: string;
  readonly #ended: Promise<unknown>;
  readonly #kill: () => void;

  private constructor(uri: string, ended: Promise<unknown>, kill: () => void) {
    this.uri = uri;
    this.#ended = ended;
    this.#kill = kill;
  }

  static async start(path: string, socket: string): Promise<QemuNbd> {
    const name = randomUUID();
    rmSync(socket, { force: true });
    const args = ['--cache=none', '--aio=native', '-f', 'vpc', '-k', socket, '-x', name, '-t', path];
    const child = spawn('qemu-nbd', args, { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await Deadline.after(10_000).until(() => (existsSync(socket) ? true : undefined), 'qemu-nbd');
    return new QemuNbd(`nbd+unix:///${name}?socket=${socket}`, ended, () => child.kill());
  }

  async stop(): Promise<void> {
    this.#kill();
    await this.#ended;
  }
}
