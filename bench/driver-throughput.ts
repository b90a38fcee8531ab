import type { Pool } from '../lab/pool.ts';
import type { Reference, Row } from './bench.ts';
import type { BareProgram } from './host-programs.ts';
import { attachDisk, detachDisk } from './lab-sr.ts';

const CALLERS = [1, 4, 8] as const;
const HOSTS = [1, 2] as const;
/** Of each caller: vdi_attach, vdi_activate, vdi_deactivate and vdi_detach of a disk of its own. */
const TURNS = 3;
const COMMANDS_OF_A_TURN = 4;
const BARE_TURNS = 6;

/**
 * SM commands a second when several callers keep the hosts busy, beside as many callers that start a bare program
 * again and again.
 */
export async function throughputRows(
  pool: Pool,
  disks: readonly string[],
  [node, lvs]: readonly [BareProgram, BareProgram],
  report: (line: string) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const hosts of HOSTS) {
    for (const callers of CALLERS) {
      const value = await perSecond(callers, TURNS * COMMANDS_OF_A_TURN, async (caller) => {
        for (let turn = 0; turn < TURNS; turn += 1) await useDisk(pool, caller % hosts, disks[caller] ?? '');
      });
      const bare = async (program: BareProgram): Promise<Reference> => ({
        name: program.name,
        value: await perSecond(callers, BARE_TURNS, async (caller) => {
          for (let turn = 0; turn < BARE_TURNS; turn += 1) await program.run(pool.host(caller % hosts));
        }),
      });
      const metric = `${callers} caller${callers === 1 ? '' : 's'} on ${hosts} host${hosts === 1 ? '' : 's'}`;
      report(`${metric}: ${value.toFixed(2)} commands a second`);
      rows.push({ metric, value, unit: 'commands/s', reference: await bare(node), second: await bare(lvs) });
    }
  }
  return rows;
}

async function useDisk(pool: Pool, host: number, disk: string): Promise<void> {
  await attachDisk(pool, host, disk);
  await detachDisk(pool, host, disk);
}

/** What the callers get done together, each so many. */
async function perSecond(callers: number, each: number, work: (caller: number) => Promise<void>): Promise<number> {
  const started = performance.now();
  await Promise.all(Array.from({ length: callers }, (_, caller) => work(caller)));
  return (1000 * callers * each) / (performance.now() - started);
}
