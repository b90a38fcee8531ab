import { Deadline } from '../src/base/deadline.ts';
import { readVdiNodes } from '../src/lvhd/lv-table.ts';
import { Lvm } from '../src/lvm/lvm.ts';
import { runChecked } from '../src/system/run.ts';
import { lvmConfig } from '../src/lvm/config.ts';
import { MiB } from '../src/base/units.ts';
import { srScan } from '../lab/xapi-double/sr-operations.ts';
import { loopPool } from '../test/support/loop-pool.ts';
import { loopDevice } from '../test/support/lvhd-loop.ts';
import { makeManyVdis, manyVdisBytes } from '../test/support/lvhd-many-vdis.ts';
import { openSrOn } from '../test/support/lvhd-vectors.ts';
import { type Bench, median, type Row } from './bench.ts';

const SR = '5a1c7f00-1111-4222-8333-0123456789ad';
const COUNTS = [10, 100, 1000] as const;
const ROUNDS = 9;

/**
 * What a scan of an SR costs by the number of its VDIs: the command sr_scan where nothing has changed, with xapi's
 * double; and of it one report of LVM, and the head of every VHD.
 */
export const scanBench: Bench = {
  name: 'scan',
  title: 'Scan of an SR (sr_scan; of it LVM report and VHD headers; loop device)',
  async run(report) {
    const costs: ScanCost[] = [];
    const commands: CommandCost[] = [];
    for (const count of COUNTS) {
      const command = await commandCost(count);
      report(`${count} VDIs: sr_scan ${command.ms.toFixed(0)} ms, ${command.programs} LVM programs`);
      commands.push(command);
      const cost = await costOf(count);
      report(`${count} VDIs: ${cost.reportMs.toFixed(1)} ms report, ${cost.headersMs.toFixed(1)} ms headers`);
      costs.push(cost);
    }
    return [...commands.flatMap(commandRows), commandSlope(commands), ...costs.flatMap(rowsOf), ...slopeRows(costs)];
  },
};

interface CommandCost {
  readonly count: number;
  /** Median. */
  readonly ms: number;
  /** Of LVM, as strace counts them. */
  readonly programs: number;
}

async function commandCost(count: number): Promise<CommandCost> {
  await using pool = await loopPool({
    sizeBytes: manyVdisBytes(count) + 64 * MiB,
    populate: (sr) => makeManyVdis(sr, count),
  });
  const scan = (): Promise<void> => srScan(pool.double, pool.srRef);
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    await scan();
    samples.push(performance.now() - started);
  }
  const programs = (await pool.programsOf(scan)).filter((name) => name === 'lvm').length;
  return { count, ms: median(samples), programs };
}

function commandRows({ count, ms, programs }: CommandCost): readonly Row[] {
  return [
    { metric: `sr_scan, ${count} VDIs`, value: ms, unit: 'ms' },
    {
      metric: `sr_scan, ${count} VDIs, LVM programs`,
      value: programs,
      unit: 'programs',
      aim: { of: 'value', bound: 'at most', limit: 2 },
    },
  ];
}

function commandSlope(costs: readonly CommandCost[]): Row {
  const [first, last] = [costs[0], costs.at(-1)];
  const slope = first === undefined || last === undefined ? 0 : (last.ms - first.ms) / (last.count - first.count);
  return { metric: 'sr_scan, each further VDI', value: 1000 * slope, unit: 'us' };
}

/** Medians of the rounds; `programs` is the most that any round ran. */
interface ScanCost {
  readonly count: number;
  readonly reportMs: number;
  readonly headersMs: number;
  readonly totalMs: number;
  readonly programs: number;
  /** `lvm vgs` of the same volume group: what one program of LVM costs there. */
  readonly vgsMs: number;
}

async function costOf(count: number): Promise<ScanCost> {
  using loop = loopDevice(manyVdisBytes(count));
  await using sr = await openSrOn(loop.device, SR);
  await makeManyVdis(sr, count);
  const { device, vg } = sr.lvm;
  let programs = 0;
  const extraArgs = ['--driverloaded', 'n'];
  // LVM asks for the host's lock around each of its programs.
  const serialise = (): undefined => {
    programs += 1;
  };
  const lvm = new Lvm({ device, vg, writable: false, serialise, extraArgs, deadline: Deadline.after(120_000) });
  const vgs = ['vgs', ...extraArgs, '--config', lvmConfig({ device, writable: false }), '--noheadings', vg];
  const samples: Pick<ScanCost, 'reportMs' | 'headersMs' | 'totalMs' | 'programs' | 'vgsMs'>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = performance.now();
    await runChecked('lvm', vgs, { deadline: Deadline.after(60_000) });
    programs = 0;
    const started = performance.now();
    const found = await lvm.report();
    const reported = performance.now();
    const nodes = found === undefined ? [] : await readVdiNodes(found, sr.pvIo);
    const ended = performance.now();
    const broken = nodes.filter(({ scanError }) => scanError !== undefined).length;
    if (nodes.length !== count || broken > 0) throw new Error(`${nodes.length} VDIs, ${broken} of them broken`);
    const times = { reportMs: reported - started, headersMs: ended - reported, totalMs: ended - started };
    samples.push({ ...times, programs, vgsMs: started - before });
  }
  const middle = (key: 'reportMs' | 'headersMs' | 'totalMs' | 'vgsMs'): number =>
    median(samples.map((one) => one[key]));
  return {
    count,
    reportMs: middle('reportMs'),
    headersMs: middle('headersMs'),
    totalMs: middle('totalMs'),
    programs: Math.max(...samples.map((one) => one.programs)),
    vgsMs: middle('vgsMs'),
  };
}

function rowsOf({ count, totalMs, programs, vgsMs }: ScanCost): readonly Row[] {
  const reference = { name: 'lvm vgs', value: vgsMs };
  return [
    { metric: `${count} VDIs`, value: totalMs, unit: 'ms', reference },
    {
      metric: `${count} VDIs, LVM programs`,
      value: programs,
      unit: 'programs',
      aim: { of: 'value', bound: 'at most', limit: 1 },
    },
  ];
}

/** What one VDI more costs, from the smallest to the largest SR. */
function slopeRows(costs: readonly ScanCost[]): readonly Row[] {
  const [first, last] = [costs[0], costs.at(-1)];
  if (first === undefined || last === undefined) return [];
  const slope = (key: 'reportMs' | 'headersMs' | 'totalMs'): number =>
    (1000 * (last[key] - first[key])) / (last.count - first.count);
  return [
    { metric: 'each further VDI', value: slope('totalMs'), unit: 'us' },
    { metric: 'each further VDI, LVM report', value: slope('reportMs'), unit: 'us' },
    { metric: 'each further VDI, VHD header', value: slope('headersMs'), unit: 'us' },
  ];
}
