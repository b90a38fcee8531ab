import { messageOf, RbdsrError } from '../../base/error.ts';
import { type VdiUuid, vdiUuid } from '../../base/ids.ts';
import { journalsOf } from '../../lvhd/journal/journal.ts';
import type { VgReport } from '../../lvm/report.ts';
import { settled } from '../../base/settle.ts';
import { addMapKey, removeMapKey } from '../../xapi/map-keys.ts';
import type { StringMap } from '../../xapi/values.ts';
import { type VdiRecord, vdiSmConfig } from '../../xapi/vdi.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { activeHosts } from '../hosts/host-keys.ts';
import { tellHost } from '../hosts/master-plugin.ts';
import { workUntil } from '../work/work-until.ts';
import type { SrWork } from '../work/work.ts';

/** How long a host may take to pause or resume a disk, ms. */
const HOST_MS = 20_000;

const MAP = 'VDI.sm_config';
/** In VDI.sm_config. */
export const PAUSED = 'paused';

/** A disk of which the volumes are to be replaced, with its reference in xapi. */
export interface PausedDisk {
  readonly vdi: VdiUuid;
  readonly ref: string;
}

/**
 * From now on no guest of any host reads or writes the disk, and none of its volumes is open; no host begins to use it
 * (the key is heeded by vdi_activate, host-keys.ts). The caller holds the SR's lock on the master, and has every host
 * resumed whatever happens. Answers VDI.sm_config as it is then, with the marks of the hosts that have it in use.
 */
export async function pauseEverywhere(work: SrWork, sr: AttachedSr, disk: PausedDisk): Promise<StringMap> {
  const xapi = await work.xapi();
  await addMapKey(xapi, MAP, disk.ref, PAUSED, 'true');
  // Those that have come to use it before the key was there, too.
  const smConfig = await vdiSmConfig(xapi, disk.ref);
  await tellEach(work, sr, disk, smConfig, 'pause');
  return smConfig;
}

/**
 * Every host goes on with the disk as it is by now, whichever fails; only when all have does the key go. Done already:
 * nothing happens.
 */
export async function resumeEverywhere(work: SrWork, sr: AttachedSr, disk: PausedDisk): Promise<void> {
  const xapi = await work.xapi();
  await tellEach(work, sr, disk, await vdiSmConfig(xapi, disk.ref), 'resume');
  await removeMapKey(xapi, MAP, disk.ref, PAUSED);
}

/** All at once; the first failure is thrown when each has answered. */
async function tellEach(
  work: SrWork,
  sr: AttachedSr,
  { vdi }: PausedDisk,
  smConfig: StringMap,
  fn: 'pause' | 'resume',
): Promise<void> {
  const inTime = workUntil(work, work.deadline.within(HOST_MS));
  await settled(activeHosts(smConfig).map((host) => tellHost(inTime, host, fn, sr.uuid, vdi)));
}

/**
 * The caller holds the SR's lock on the master, so that no operation is under way: a disk that is paused was left so by
 * one that died. Those of which `report` has a journal stay. What fails is a warning: the next scan tries again.
 */
export async function resumeLeftPaused(
  work: SrWork,
  sr: AttachedSr,
  records: readonly Pick<VdiRecord, 'ref' | 'uuid' | 'smConfig'>[],
  report?: VgReport,
): Promise<void> {
  for (const { ref, uuid, smConfig } of records) {
    if (!Object.hasOwn(smConfig, PAUSED)) continue;
    const vdi = vdiUuid(uuid);
    try {
      const [journal] = report === undefined ? [] : journalsOf(report, vdi);
      if (journal !== undefined) throw new RbdsrError('journal', { what: `its journal ${journal.lvName} is left` });
      await resumeEverywhere(work, sr, { vdi, ref });
      work.log.warn(`SR ${sr.uuid}: VDI ${vdi} had been left paused; it goes on`);
    } catch (error) {
      work.log.warn(`SR ${sr.uuid}: VDI ${vdi} had been left paused, and cannot go on: ${messageOf(error)}`);
    }
  }
}
