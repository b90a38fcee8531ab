import { withLocalXapi } from '../access/driver-srs.ts';
import { withSrControlPlane } from '../access/sr-control-plane.ts';
import { Deadline } from '../base/deadline.ts';
import { hasCode, type RbdsrError } from '../base/error.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { aboutUnfencing } from '../ceph/control/not-allowed.ts';
import { poolsOfImage } from '../ceph/control/own-user.ts';
import { runSteps } from '../system/running-steps.ts';
import type { Xapi } from '../xapi/client.ts';
import { removeMapKey } from '../xapi/map-keys.ts';
import { addressesHere } from './fence-host.ts';
import { noteKey } from './fence-notes.ts';
import { type FenceList, type KnownFence, listFences } from './list-fences.ts';
import { type SrImage, poolStanding } from './pool-standing.ts';
import { planUnfence, type UnfencePlan } from './unfence-plan.ts';

export interface Unfenced {
  readonly plan: UnfencePlan;
  readonly removed: readonly KnownFence[];
}

/** The removing of one entry, and of the notes of it. */
interface Unfencing {
  readonly xapi: Xapi;
  readonly plane: ControlPlane;
  readonly fence: KnownFence;
  readonly deadline: Deadline;
}

/** The entry first: without its note it would be somebody else's. */
export const unfenceSteps: readonly Step<Unfencing>[] = [
  step('unfence.after-entry', ({ plane, fence, deadline }) => plane.unfence(fence.client, deadline), {
    does: "the client is taken from the cluster's list",
    leaves: { id: 'old-note', says: 'a note of a fence that is over' },
    mendedBy: { by: ['again'], says: 'the same command again; the next `rbdsr fence`' },
    when: ({ fence }) => fence.until !== undefined,
  }),
  lastStep(dropNotes, '`rbd_fence_<client>` is removed'),
];

async function dropNotes({ xapi, fence }: Unfencing): Promise<void> {
  for (const { ref } of fence.notedBy) await removeMapKey(xapi, 'SR.sm_config', ref, noteKey(fence.client));
}

/**
 * Lets a host at its images again, or one client. `tells` gets the plan before anything is done. 'cluster-auth' says
 * which capability the user lacks.
 */
export async function unfenceHost(
  root: string,
  { host, dryRun, ms }: { readonly host: string; readonly dryRun: boolean; readonly ms: number },
  tells: (plan: UnfencePlan) => void,
): Promise<Unfenced> {
  const deadline = Deadline.after(ms);
  return withLocalXapi(
    root,
    async (xapi, thisHostRef) => {
      const standing = await poolStanding(xapi, thisHostRef);
      const list: FenceList = await listFences(root, standing, deadline.within(ms / 2));
      const plan = planUnfence(standing.hosts, list, host, addressesHere(root));
      tells(plan);
      const removed: KnownFence[] = [];
      if (dryRun) return { plan, removed };
      for (const fence of plan.removed) {
        const [image] = fence.images;
        if (image === undefined) continue;
        await withSrControlPlane(root, image.uuid, [], deadline, async (plane) => {
          try {
            await runSteps(unfenceSteps, { xapi, plane, fence, deadline });
          } catch (error) {
            throw hasCode(error, 'cluster-auth') ? await lacksCapability(plane, image, error, deadline) : error;
          }
        });
        removed.push(fence);
      }
      return { plan, removed };
    },
    ms,
  );
}

/** Its line names all pools of the image. */
async function lacksCapability(
  plane: ControlPlane,
  { spec }: SrImage,
  error: RbdsrError,
  deadline: Deadline,
): Promise<RbdsrError> {
  const pools = await poolsOfImage(plane, spec, deadline).catch(() => [spec.pool]);
  const { namespace } = spec;
  return aboutUnfencing(
    error,
    pools.map((pool) => (namespace === undefined ? { pool } : { pool, namespace })),
  );
}
