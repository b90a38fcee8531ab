import { withPoolSr } from '../access/pool-sr.ts';
import { withSrControlPlane } from '../access/sr-control-plane.ts';
import type { Deadline } from '../base/deadline.ts';
import { hasCode, RbdsrError } from '../base/error.ts';
import { srUuid } from '../base/ids.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import { formatBytes } from '../base/units.ts';
import type { Watcher } from '../ceph/control/control-plane.ts';
import { fsidOf } from '../sr/config/fsid-key.ts';
import { runSteps } from '../system/running-steps.ts';
import type { Xapi } from '../xapi/client.ts';
import { allHosts } from '../xapi/host.ts';
import { poolMaster } from '../xapi/pool.ts';
import { scanSrByXapi, srRecord } from '../xapi/sr.ts';
import { type GrowPlan, planGrowth, type PluggedOn } from './grow-plan.ts';
import { type SeenSize, seenSizes, unawareOf } from './seen-sizes.ts';

export interface Grown {
  readonly plan: GrowPlan;
  /** What each host that has it mapped sees; absent where nothing was done, as is the rest. */
  readonly seen?: readonly SeenSize[];
  /** Clients that did not answer the cluster in time, by address. */
  readonly silent?: readonly string[];
  /** The volume group's size by now, as xapi has it. */
  readonly srBytes?: number;
}

/** The growing of one SR. */
interface Growth {
  readonly root: string;
  readonly xapi: Xapi;
  readonly srRef: string;
  readonly plan: GrowPlan;
  readonly fsid: string | undefined;
  readonly deadline: Deadline;
  seen: readonly SeenSize[];
  silent: readonly string[];
}

export const growSteps: readonly Step<Growth>[] = [
  step('grow.after-image', growTheImage, {
    does: 'the image grows, by the steps above, and every host says which size it sees',
    leaves: { id: 'image-grown', says: 'a larger image on a volume group of the former size' },
    mendedBy: { by: ['again'], says: 'the same command again; each sr_scan and sr_attach on the master' },
  }),
  lastStep(
    ({ xapi, srRef }) => scanSrByXapi(xapi, srRef),
    'SR.scan, which lets the volume group on the master use it (`pvresize`)',
  ),
];

/**
 * Grows an SR's image, and its volume group. `tells` gets the plan before anything is done. 'sr-unavailable' where the
 * master's kernel does not see the size: nothing of LVM is changed then.
 */
export async function growSr(
  root: string,
  { sr: uuid, wantedBytes, dryRun, ms }: GrowRequest,
  tells: (plan: GrowPlan) => void,
): Promise<Grown> {
  return withPoolSr(root, uuid, ms, async (xapi, { sr, pbds, spec }, deadline) => {
    if (spec === undefined) {
      throw new RbdsrError('config-invalid', { what: `nothing tells on which image SR ${uuid} stands` });
    }
    const master = await poolMaster(xapi);
    const plugged = (await allHosts(xapi))
      .filter(({ ref }) => pbds.some((pbd) => pbd.host === ref && pbd.currentlyAttached))
      .map(({ ref, nameLabel }): PluggedOn => ({ ref, name: nameLabel, isMaster: ref === master }))
      .toSorted((a, b) => Number(b.isMaster) - Number(a.isMaster));
    const info = await withSrControlPlane(root, srUuid(uuid), [], deadline, (plane) => plane.imageInfo(spec, deadline));
    const plan = planGrowth({
      sr: uuid,
      name: sr.nameLabel,
      spec,
      imageBytes: info.sizeBytes,
      objectBytes: info.objectBytes,
      srBytes: sr.physicalSize,
      wantedBytes,
      plugged,
    });
    tells(plan);
    if (dryRun) return { plan };
    const fsid = fsidOf(sr.smConfig);
    const growth: Growth = { root, xapi, srRef: sr.ref, plan, fsid, deadline, seen: [], silent: [] };
    await runSteps(growSteps, growth);
    const { physicalSize: srBytes } = await srRecord(xapi, sr.ref);
    return { plan, seen: growth.seen, silent: growth.silent, srBytes };
  });
}

export interface GrowRequest {
  readonly sr: string;
  readonly wantedBytes: number;
  readonly dryRun: boolean;
  /** For all of it. */
  readonly ms: number;
}

async function growTheImage(growth: Growth): Promise<void> {
  const { root, plan, fsid, deadline } = growth;
  const { spec, sizeBytes, plugged } = plan;
  growth.silent = await withSrControlPlane(root, srUuid(plan.sr), [], deadline, async (plane) => {
    try {
      await plane.resizeImage(spec, sizeBytes, deadline);
      return [];
    } catch (error) {
      const missed = hasCode(error, 'osd-unresponsive') ? error.detail.facts?.['missed'] : undefined;
      if (typeof missed !== 'string') throw error;
      return namesOf(missed.split(','), await plane.watchers(spec, deadline));
    }
  });
  const image = { spec, ...(fsid === undefined ? {} : { fsid }) };
  growth.seen = await seenSizes(root, plugged, image, sizeBytes, deadline);
  const onMaster = growth.seen.filter(({ host }) => host.isMaster);
  const [unaware] = unawareOf(onMaster, sizeBytes);
  if (unaware === undefined) return;
  throw new RbdsrError('sr-unavailable', {
    what: `image has ${formatBytes(sizeBytes)} by now, and the pool's master does not see it`,
    found: unaware,
    todo: 'The volume group was left as it is. Once the master sees it, the same command again grows that: unplugging and plugging its PBD there shows it the size.',
  });
}

/** The addresses of clients that are known by number. Pure. */
function namesOf(numbers: readonly string[], watchers: readonly Watcher[]): readonly string[] {
  return numbers.map(
    (number) => watchers.find(({ client }) => String(client) === number)?.address ?? `client.${number}`,
  );
}

/** Whether everybody knows, and the volume group is as large as it can be. Pure. */
export function isGrown({ plan, seen = [], silent = [], srBytes = 0 }: Grown): boolean {
  return unawareOf(seen, plan.sizeBytes).length === 0 && silent.length === 0 && srBytes > plan.srBytes;
}
