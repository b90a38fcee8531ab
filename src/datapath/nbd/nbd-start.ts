import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { ErrorCode } from '../../base/error.ts';
import type { NbdServerOrder } from './nbd-process.ts';

/** How the server tells its starter, on descriptor 3, that it serves or why it does not. */
export type NbdStartReport =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: ErrorCode; readonly what: string };

/**
 * Starts our NBD server in a session of its own, with no descriptor of ours but the one it reports on, and waits for
 * its report. The server lives on when this process ends.
 */
export async function startNbdProcess(
  server: readonly string[],
  order: NbdServerOrder,
  deadline: Deadline,
): Promise<void> {
  const [program, ...first] = server;
  if (program === undefined) throw new RbdsrError('internal', { what: 'nothing says how our NBD server is started' });
  const child = spawn(program, [...first, JSON.stringify(order)], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: { ...SERVER_ENVIRONMENT, ...inherited() },
  });
  const pipe = child.stdio[3] as Readable;
  try {
    const text = await deadline.race(reportOf(pipe), `the NBD server of VDI ${order.disk.vdi}`);
    const report = parseReport(text, order.disk.vdi);
    if (!report.ok) throw new RbdsrError(report.code, { what: report.what });
  } finally {
    pipe.destroy();
    child.unref();
  }

  function reportOf(from: Readable): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      from.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      from.on('end', () => resolve(text));
      from.on('error', reject);
      child.on('error', reject);
    });
  }
}

/**
 * Threads for the requests in flight, and two for the calls that last as long as the device; few arenas, or each thread
 * keeps memory of its own.
 */
const SERVER_ENVIRONMENT = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  UV_THREADPOOL_SIZE: '18',
  MALLOC_ARENA_MAX: '2',
};

/** What tests set. */
function inherited(): Record<string, string> {
  const fault = process.env['RBDSR_FAULT_NBD'];
  return fault === undefined ? {} : { RBDSR_FAULT: fault };
}

function parseReport(text: string, vdi: string): NbdStartReport {
  if (text !== '') return JSON.parse(text) as NbdStartReport;
  return { ok: false, code: 'tapdisk-failed', what: `the NBD server of VDI ${vdi} ended before it served` };
}
