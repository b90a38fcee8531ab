import type { Pool } from '../lab/pool.ts';
import { srScan } from '../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../src/base/units.ts';
import { median, type Row } from './bench.ts';
import { attachDisk, detachDisk } from './lab-sr.ts';

const CALLERS = 8;
/** Lives of a disk, of each caller. */
const LIVES = 2;
/** Whoever came first is served first: what one waits for is what all wait for. */
const AIM = { of: 'ratio', bound: 'at most', limit: 3 } as const;

/**
 * The longest call of each kind beside the median of its kind, when callers on both hosts make, use and delete disks of
 * one SR while it is scanned again and again.
 */
export async function fairnessRows(pool: Pool, sr: string, report: (line: string) => void): Promise<readonly Row[]> {
  const taken = new Map<string, number[]>();
  const timed = async <T>(call: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work();
    taken.set(call, [...(taken.get(call) ?? []), performance.now() - started]);
    return result;
  };
  const callers = { ended: false };
  const scans = (async () => {
    while (!callers.ended) await timed('sr_scan', () => srScan(pool.double, sr));
  })();
  const live = async (host: number): Promise<void> => {
    const { ref } = await timed('vdi_create', () => vdiCreate(pool.double, { sr, virtualSize: 8 * MiB }));
    await timed('vdi_attach and vdi_activate', () => attachDisk(pool, host, ref));
    await timed('vdi_deactivate and vdi_detach', () => detachDisk(pool, host, ref));
    await timed('vdi_delete', () => vdiDestroy(pool.double, ref));
  };
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      for (let life = 0; life < LIVES; life += 1) await live(caller % 2);
    }),
  );
  callers.ended = true;
  await scans;
  return [...taken].map(([call, ms]) => {
    const [longest, middle] = [Math.max(...ms), median(ms)];
    report(`${CALLERS} callers and a scan: ${call} ${middle.toFixed(0)} ms, at most ${longest.toFixed(0)} ms`);
    const metric = `longest ${call}, ${CALLERS} callers and a scan`;
    return { metric, value: longest, unit: 'ms', reference: { name: 'the median', value: middle }, aim: AIM };
  });
}
