import type { Pool } from '../lab/pool.ts';
import { callPlugin } from '../lab/xapi-double/plugin-call.ts';
import { vdiCreate, vdiDestroy, vdiSnapshot } from '../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../src/base/units.ts';
import { median, type Row } from './bench.ts';
import type { BareProgram } from './host-programs.ts';
import { attachDisk, detachDisk } from './lab-sr.ts';

const ROUNDS = 5;
const SIZES_MIB = [16, 1024];
/** The host that has the disk in use, which is not the master. */
const HOST = 1;
/** From the first call that pauses a disk to the end of the last that lets it go on, ms. */
const LIMIT_MS = 3000;

/**
 * How long a guest waits for a snapshot of its disk: the whole of it, and what of that are the two calls of the host
 * plug-in there. What such a call costs that does nothing is measured between the rounds.
 */
export async function pauseRows(
  pool: Pool,
  sr: string,
  node: BareProgram,
  report: (line: string) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const size of SIZES_MIB) {
    const disk = (await vdiCreate(pool.double, { sr, virtualSize: size * MiB })).ref;
    await attachDisk(pool, HOST, disk);
    const [pauses, starts]: [Pause[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      pauses.push(await pauseOf(pool, async () => vdiDestroy(pool.double, (await vdiSnapshot(pool.double, disk)).ref)));
      await pool.double.settled();
      starts.push(await startOf(pool));
      await node.sample(pool.host(HOST));
    }
    await detachDisk(pool, HOST, disk);
    await vdiDestroy(pool.double, disk);
    const [whole, calls] = [median(pauses.map((one) => one.whole)), median(pauses.map((one) => one.calls))];
    const start = { name: 'plug-in’s version', value: median(starts) };
    report(`a pause of ${size} MiB: ${whole.toFixed(0)} ms, ${calls.toFixed(0)} of them in calls`);
    const metric = `pause for vdi_snapshot, ${size} MiB`;
    const aim = { of: 'value', bound: 'at most', limit: LIMIT_MS } as const;
    rows.push(
      { metric, value: whole, unit: 'ms', reference: node.reference, second: start, aim },
      { metric: `${metric}, its calls`, value: calls, unit: 'ms', reference: node.reference, second: start },
    );
  }
  return rows;
}

interface Pause {
  readonly whole: number;
  /** Of that, in the calls of the plug-in. */
  readonly calls: number;
}

/** Of what `work` pauses. */
async function pauseOf(pool: Pool, work: () => Promise<unknown>): Promise<Pause> {
  const { runs } = pool.double;
  const already = runs.length;
  await work();
  const calls = runs.slice(already).filter(({ request }) => /<methodName>(pause|resume)</.test(request));
  const started = Math.min(...calls.map(({ startedMs }) => startedMs));
  const ended = Math.max(...calls.map(({ startedMs, durationMs }) => startedMs + durationMs));
  return { whole: ended - started, calls: calls.reduce((sum, { durationMs }) => sum + durationMs, 0) };
}

/** What a call costs that is answered at once. */
async function startOf(pool: Pool): Promise<number> {
  const started = performance.now();
  await callPlugin(pool.double, pool.hostRef(HOST), 'rbdsr', 'version', {});
  return performance.now() - started;
}
