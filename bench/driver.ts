import type { Pool } from '../lab/pool.ts';
import { startPool } from '../lab/start-pool.ts';
import { stringOf } from '../lab/xapi-double/database.ts';
import { pbdOn } from '../lab/xapi-double/driver.ts';
import { pbdPlug, pbdUnplug } from '../lab/xapi-double/pbd-operations.ts';
import { srScan } from '../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../src/base/units.ts';
import { type Bench, median, type Row } from './bench.ts';
import { fairnessRows } from './driver-fairness.ts';
import { pauseRows } from './driver-pause.ts';
import { throughputRows } from './driver-throughput.ts';
import { BareProgram, programsOf } from './host-programs.ts';
import { attachDisk, detachDisk, makeSr } from './lab-sr.ts';

const ROUNDS = 5;
const FEW = 10;
const MANY = 200;

/** What each SM command costs on a host of the lab, with the product as it is installed, on a real image. */
export const driverBench: Bench = {
  name: 'driver',
  title: 'SM commands on user-mode Linux hosts with a real image, beside `node -e 0` and one `lvs` there',
  async run(report) {
    const pool = await startPool({ hosts: 2, progress: report });
    try {
      return await measure(pool, report);
    } finally {
      await pool.stop();
    }
  },
};

/** One SM command of the master, or two that xapi sends one after the other, and what it takes to send them again. */
interface Measured {
  readonly metric: string;
  readonly before?: () => Promise<unknown>;
  readonly work: () => Promise<unknown>;
  readonly after?: () => Promise<unknown>;
}

async function measure(pool: Pool, report: (line: string) => void): Promise<readonly Row[]> {
  const { double } = pool;
  const sr = await makeSr(pool, 4096);
  const bare = [BareProgram.node(), BareProgram.lvs(`VG_XenStorage-${stringOf(sr, 'uuid')}`)] as const;
  const pbd = pbdOn(double, sr.ref, pool.hostRef(0)).ref;
  const disks: string[] = [];
  const make = async (): Promise<unknown> =>
    disks.push((await vdiCreate(double, { sr: sr.ref, virtualSize: 2 * MiB })).ref);
  const remove = (): Promise<void> => vdiDestroy(double, disks.pop() ?? '');
  const makeUpTo = async (count: number): Promise<void> => {
    while (disks.length < count) await make();
  };
  const [attach, detach] = [
    (): Promise<unknown> => attachDisk(pool, 0, disks[0] ?? ''),
    (): Promise<unknown> => detachDisk(pool, 0, disks[0] ?? ''),
  ];
  const scan = (count: number): Measured => ({
    metric: `sr_scan, ${count} disks`,
    before: () => makeUpTo(count),
    work: () => srScan(double, sr.ref),
  });

  const costs: Cost[] = [];
  const few: readonly Measured[] = [
    { metric: 'vdi_create', work: make, after: remove },
    { metric: 'vdi_delete', before: make, work: remove },
    scan(FEW),
    { metric: 'sr_attach', before: () => pbdUnplug(double, pbd), work: () => pbdPlug(double, pbd) },
    { metric: 'vdi_attach and vdi_activate', work: attach, after: detach },
    { metric: 'vdi_deactivate and vdi_detach', before: attach, work: detach },
  ];
  for (const command of few) costs.push(await costOf(pool, command, bare, report));
  const throughput = await throughputRows(pool, disks, bare, report);
  const fairness = await fairnessRows(pool, sr.ref, report);
  const pauses = await pauseRows(pool, sr.ref, bare[0], report);
  report(`making ${MANY} disks`);
  costs.push(await costOf(pool, scan(MANY), bare, report));
  const [node, lvs] = bare;
  return [
    { metric: 'node -e 0', value: node.reference.value, unit: 'ms' },
    { metric: 'lvs', value: lvs.reference.value, unit: 'ms', reference: node.reference },
    ...costs.flatMap((cost) => costRows(cost, bare)),
    ...throughput,
    ...fairness,
    ...pauses,
  ];
}

interface Cost {
  readonly metric: string;
  readonly ms: number;
  readonly programs: number;
}

/**
 * The median of the rounds, as long as xapi waits; then once more, with the programs counted. The bare programs run
 * between the rounds.
 */
async function costOf(
  pool: Pool,
  { metric, before, work, after }: Measured,
  bare: readonly BareProgram[],
  report: (line: string) => void,
): Promise<Cost> {
  const { runs } = pool.double;
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await before?.();
    const already = runs.length;
    await work();
    samples.push(runs.slice(already).reduce((sum, { durationMs }) => sum + durationMs, 0));
    await after?.();
    await pool.double.settled();
    for (const program of bare) await program.sample(pool.host(0));
  }
  await before?.();
  const programs = await programsOf(pool, pool.host(0), work);
  await after?.();
  report(`${metric}: ${median(samples).toFixed(0)} ms, ${programs} programs`);
  return { metric, ms: median(samples), programs };
}

function costRows({ metric, ms, programs }: Cost, [node, lvs]: readonly [BareProgram, BareProgram]): readonly Row[] {
  return [
    { metric, value: ms, unit: 'ms', reference: node.reference, second: lvs.reference },
    { metric: `${metric}, programs`, value: programs, unit: 'programs' },
  ];
}
