import type { Volumes } from '../volumes.ts';
import type { BlockIo } from '../../base/block-io.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { type Mending, type Step, step } from '../../base/steps.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { addChanges, type CbtLog, cbtLogOf, readCbtLog, writeChild, writeParent } from '../cbt-log.ts';

/** The log of a disk that is to go, and the logs beside it. */
interface Ending {
  readonly world: Volumes;
  readonly report: VgReport;
  readonly vdi: VdiUuid;
  readonly lv: LvReport;
  readonly log: CbtLog;
}

/**
 * Ends the tracking of a disk that is going to be written without its log, as sm `VDI.configure_blocktracking` does
 * when it is told to: from then on nobody can ask what has changed across this moment. Answers the bytes that the log
 * took; undefined where it has none. The caller holds the SR lock on the master.
 */
export async function endTracking(world: Volumes, report: VgReport, vdi: VdiUuid): Promise<number | undefined> {
  const ending = await endingOf(world, report, vdi);
  if (ending === undefined) return undefined;
  await runSteps(endTrackingSteps, ending);
  return ending.lv.sizeBytes;
}

/**
 * The disk goes, a snapshot perhaps: what its log says is said by the next one, and the log is removed (sm
 * `VDI.delete`). May be cut short anywhere and run again. Answers the bytes that it took. The caller holds the SR lock
 * on the master.
 */
export async function foldLog(world: Volumes, report: VgReport, vdi: VdiUuid): Promise<number> {
  const ending = await endingOf(world, report, vdi);
  if (ending === undefined) return 0;
  const { parent, child } = ending.log;
  await change(world, report, child, async (io) => {
    if ((await readCbtLog(io)).parent !== vdi) return;
    // More than has changed meanwhile is no harm; less would be.
    await change(world, report, vdi, (own) => addChanges(own, io), 'read');
    await writeParent(io, parent);
  });
  await change(world, report, parent, async (io) => {
    if ((await readCbtLog(io)).child === vdi) await writeChild(io, child);
  });
  await world.lvm.removeLv(ending.lv.name);
  return ending.lv.sizeBytes;
}

const again: Mending = { by: ['again'], says: 'activating it for writing, or resizing it, again goes on' };

export const endTrackingSteps: readonly Step<Ending>[] = [
  step('end-tracking.after-link', unlink, {
    does: 'the log before it names no next one',
    leaves: { id: 'log-without-parent', says: 'a log that belongs to no snapshot; the disk is as it was' },
    mendedBy: again,
  }),
  step('end-tracking.after-log', removeLog, {
    does: '`lvremove` of the log',
    leaves: { id: 'no-log', says: "an untracked disk; `cbt_enabled` in xapi's record is old" },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan corrects it' },
  }),
];

async function unlink({ world, report, vdi, log }: Ending): Promise<void> {
  await change(world, report, log.parent, async (io) => {
    if ((await readCbtLog(io)).child === vdi) await writeChild(io, undefined);
  });
}

async function removeLog({ world, lv }: Ending): Promise<void> {
  await world.lvm.removeLv(lv.name);
}

async function endingOf(world: Volumes, report: VgReport, vdi: VdiUuid): Promise<Ending | undefined> {
  const lv = cbtLogOf(report, vdi);
  if (lv === undefined) return undefined;
  const io = await world.openLv(lv.name, 'read', lv);
  try {
    return { world, report, vdi, lv, log: await readCbtLog(io) };
  } finally {
    await io.close();
  }
}

/** On the disk when it is done; nothing where that disk has no log. */
async function change(
  { openLv }: Volumes,
  report: VgReport,
  vdi: VdiUuid | undefined,
  work: (io: BlockIo) => Promise<void>,
  mode: 'read' | 'write' = 'write',
): Promise<void> {
  const lv = vdi === undefined ? undefined : cbtLogOf(report, vdi);
  if (lv === undefined) return;
  const io = await openLv(lv.name, mode, lv);
  try {
    await work(io);
    if (mode === 'write') await io.flush();
  } finally {
    await io.close();
  }
}
