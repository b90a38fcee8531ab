import { hasCode } from '../base/error.ts';
import { volumesByExtents } from '../lvhd/extent-open.ts';
import { listJournals } from '../lvhd/journal/journal.ts';
import { kindOf } from '../lvhd/journal/kinds.ts';
import { recoverJournals } from '../lvhd/journal/recover.ts';
import type { VdiUuid } from '../base/ids.ts';
import type { VgReport } from '../lvm/report.ts';
import { isGone } from '../xapi/failure.ts';
import { vdiByUuid, vdiSmConfig } from '../xapi/vdi.ts';
import type { AttachedSr } from './attached-sr.ts';
import { reportOf, type SrNodes } from './read-sr.ts';
import { workUntil } from './work/work-until.ts';
import type { SrWork } from './work/work.ts';

/**
 * The volume group before a command that changes it, interrupted operations undone first: one report where there was
 * none. 'journal' for one that this release cannot undo.
 */
export async function recoveredReport(work: SrWork, sr: AttachedSr): Promise<VgReport> {
  work.waiting(`LVM to read ${sr.vg}`);
  const report = await reportOf(sr);
  if (listJournals(report).length === 0) return report;
  await recoverIfMaster(work, sr, report);
  return reportOf(sr);
}

/** The same with the headers that `read` reads: of all disks, or of one's chain. */
export async function recoveredNodes(work: SrWork, sr: AttachedSr, read: () => Promise<SrNodes>): Promise<SrNodes> {
  const found = await read();
  if (listJournals(found.report).length === 0) return found;
  await recoverIfMaster(work, sr, found.report);
  return read();
}

/**
 * On the SR master, before a command that changes metadata: undoes what was interrupted, as `report` shows it. True
 * where there was something, so that the report is old. The caller holds the SR lock. 'journal' for what this release
 * cannot undo.
 */
export async function recoverIfMaster(work: SrWork, sr: AttachedSr, report: VgReport): Promise<boolean> {
  if (!work.subject.srMaster || work.subject.srRef === undefined) return false;
  const done = await recoverJournals(
    {
      // Nothing becomes active by it, on whatever host the volume may be in use.
      ...volumesByExtents(sr),
      refreshElsewhere: async (lvNames) => {
        const { refreshElsewhere } = await import('./hosts/master-plugin.ts');
        await refreshElsewhere(work, sr.uuid, lvNames);
      },
      othersRest: (vdi) => doOthersRest(work, vdi),
    },
    report,
  );
  for (const entry of done) {
    const { vdi, failure } = entry;
    const what = `${kindOf(entry).operation} of VDI ${vdi} had been interrupted`;
    const end = failure === undefined ? 'it is mended' : `it is not undone, and cannot be used: ${failure.message}`;
    work.log.warn(`SR ${sr.uuid}: ${what}; ${end}`);
  }
  await resumeThose(
    work,
    sr,
    done.flatMap(({ type, vdi, failure }) => (PAUSING.includes(type) && failure === undefined ? [vdi] : [])),
  );
  return done.some(({ failure }) => failure === undefined);
}

/** HA waits for the lock of the SR meanwhile. */
const ASK_MS = 10_000;

async function doOthersRest(work: SrWork, vdi: VdiUuid): Promise<boolean> {
  const { othersRest } = await import('./hosts/others-rest.ts');
  try {
    await othersRest(workUntil(work, work.deadline.within(ASK_MS)), vdi);
    return true;
  } catch (error) {
    if (!hasCode(error, 'lock-busy')) throw error;
    work.log.warn(`VDI ${vdi} keeps its size: ${error.message}`);
    return false;
  }
}

/** Journals of operations in which a disk is paused. */
const PAUSING: readonly string[] = ['clone', 'leaf'];

/** Disks whose guests wait for what was cut short: its journal is gone by now. */
async function resumeThose(work: SrWork, sr: AttachedSr, vdis: readonly VdiUuid[]): Promise<void> {
  if (vdis.length === 0) return;
  const { resumeLeftPaused } = await import('./disk/paused.ts');
  const xapi = await work.xapi();
  for (const vdi of vdis) {
    const ref = await vdiByUuid(xapi, vdi).catch((error: unknown) => {
      if (isGone(error)) return undefined;
      throw error;
    });
    if (ref !== undefined)
      await resumeLeftPaused(work, sr, [{ ref, uuid: vdi, smConfig: await vdiSmConfig(xapi, ref) }]);
  }
}
