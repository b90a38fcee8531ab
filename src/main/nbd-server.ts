import { closeSync, writeSync } from 'node:fs';
import { Deadline } from '../base/deadline.ts';
import { RbdsrError, messageOf } from '../base/error.ts';
import { silentLog } from '../base/log.ts';
import { parseOrder, serveDisk } from '../datapath/nbd/nbd-process.ts';
import type { NbdStartReport } from '../datapath/nbd/nbd-start.ts';
import { setProcessTitle } from '../system/process-title.ts';
import { createSmLog } from '../system/sm-log.ts';
import { writeAttribute } from '../system/waiting-sysfs.ts';

// `rbdsr nbd`: serves one attached disk where the host has no tapdisk. The storage driver starts it; SIGTERM ends it,
// cleanly.

const START_MS = 60_000;
let log = silentLog;
void serve().then(
  () => process.exit(0),
  (error: unknown) => {
    log.error(messageOf(error));
    report({ ok: false, code: error instanceof RbdsrError ? error.code : 'internal', what: messageOf(error) });
    process.exit(1);
  },
);

async function serve(): Promise<void> {
  const order = parseOrder(process.argv[2]);
  log = createSmLog(order.files.log, 'RBDSR nbd');
  setProcessTitle(`rbdsr nbd ${order.disk.vdi}`);
  // A guest's disk is the last thing to lose when memory runs out.
  await writeAttribute('/proc/self/oom_score_adj', '-1000').catch(() => {});
  const stopped = new Promise<string>((resolve) => {
    // A second one, as at a shutdown of the host, must not end what the first has begun.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(`got ${signal}`));
  });
  const served = await serveDisk(order, log, Deadline.after(START_MS));
  report({ ok: true });
  log.info(`serves VDI ${order.disk.vdi} from ${order.disk.target}`);
  const why = await Promise.race([stopped, served.abandoned.then(() => "lost the kernel's client", messageOf)]);
  log.info(`VDI ${order.disk.vdi}: ${why}, ends`);
  await served.stop();
}

/** Once, on descriptor 3; a starter that is gone does not matter, nor one that gave us no such descriptor. */
function report(outcome: NbdStartReport): void {
  try {
    writeSync(3, JSON.stringify(outcome));
    closeSync(3);
  } catch {
    // See above.
  }
}
