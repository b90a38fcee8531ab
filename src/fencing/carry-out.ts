import { withSrControlPlane } from '../access/sr-control-plane.ts';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import type { ControlPlane, FenceProof } from '../ceph/control/control-plane.ts';
import { runSteps } from '../system/running-steps.ts';
import type { Xapi } from '../xapi/client.ts';
import { removeMapKey, setMapKey } from '../xapi/map-keys.ts';
import { type FenceNote, noteKey, noteText } from './fence-notes.ts';
import { FENCE_SECONDS, type FencePlan, type ImageView, type PlannedFence } from './fence-plan.ts';
import type { SrImage } from './pool-standing.ts';

/** What became of the fences that are made by one SR's user, and of its image. */
export interface FenceOutcome {
  readonly image: SrImage;
  readonly fenced: readonly FencedClient[];
  readonly proof?: FenceProof;
  /** Why it is not done, or not proven. */
  readonly problem?: RbdsrError;
}

export interface FencedClient {
  readonly client: string;
  /** As the cluster has it. */
  readonly until: string;
  readonly wasThere: boolean;
}

/** The making of one entry. */
interface Fencing {
  readonly xapi: Xapi;
  readonly plane: ControlPlane;
  readonly srRef: string;
  readonly client: string;
  readonly note: FenceNote;
  /** Somebody has fenced it before: it is theirs, and its end stays. */
  readonly wasThere: boolean;
  readonly deadline: Deadline;
}

/** Noted first: an entry without a note is somebody else's. */
export const fenceSteps: readonly Step<Fencing>[] = [
  step(
    'fence.after-note',
    ({ xapi, srRef, client, note }) => setMapKey(xapi, 'SR.sm_config', srRef, noteKey(client), noteText(note)),
    {
      does: '`rbd_fence_<client>` is set in SR.sm_config: since when and by whom',
      leaves: { id: 'noted', says: 'a note of a fence that is not there: `rbdsr fences` shows none' },
      mendedBy: { by: ['again'], says: 'the same command again; or `rbdsr unfence`, which removes the note' },
      when: ({ wasThere }) => !wasThere,
    },
  ),
  lastStep(
    ({ plane, client, deadline }) => plane.fence(client, FENCE_SECONDS, deadline),
    "the client is put on the cluster's list of those that it serves nothing",
  ),
];

/** All SRs at once, first the entries and then the proofs; one that fails does not keep the others. */
export async function carryOut(
  root: string,
  xapi: Xapi,
  plan: FencePlan,
  by: string,
  deadline: Deadline,
): Promise<readonly FenceOutcome[]> {
  const { host } = plan.wish;
  const uuid = host.inPool?.uuid;
  const since = new Date().toISOString();
  const note = { since, by, host: host.title, ...(uuid === undefined ? {} : { hostUuid: uuid }) };
  const makers = new Set(plan.fences.map(({ image }) => image));
  const made = await Promise.all(
    [...makers].map((image) => {
      const own = plan.fences.filter((fence) => fence.image === image);
      return madeBy(root, { xapi, srRef: image.ref, note, deadline }, image, own);
    }),
  );
  return Promise.all(plan.reached.map((view) => provenOf(root, xapi, plan, view, made, deadline)));
}

interface Made {
  readonly image: SrImage;
  readonly fenced: readonly FencedClient[];
  readonly problem?: RbdsrError;
}

async function madeBy(
  root: string,
  fencing: Omit<Fencing, 'client' | 'wasThere' | 'plane'>,
  image: SrImage,
  fences: readonly PlannedFence[],
): Promise<Made> {
  const fenced: FencedClient[] = [];
  const problem = await problemOf(() =>
    withSrControlPlane(root, image.uuid, [], fencing.deadline, (plane) =>
      makeAll({ ...fencing, plane }, fences, fenced),
    ),
  );
  return { image, fenced, ...(problem === undefined ? {} : { problem }) };
}

async function provenOf(
  root: string,
  xapi: Xapi,
  { wish, fences }: FencePlan,
  { image, cluster, pools }: ImageView,
  made: readonly Made[],
  deadline: Deadline,
): Promise<FenceOutcome> {
  // A whole address is fenced once for all images of a cluster.
  const own = fences.filter((fence) => fence.cluster === cluster && (wish.wholeAddress || isOf(fence, image)));
  const makings = made.filter((making) => own.some((fence) => fence.image === making.image));
  const fenced = makings.filter((making) => making.image === image).flatMap((making) => making.fenced);
  const failed = makings.find(({ problem }) => problem !== undefined)?.problem;
  if (failed !== undefined) return { image, fenced, problem: failed };
  const clients = own.map(({ client }) => client);
  const { namespace } = image.spec;
  let proof: FenceProof | undefined;
  const problem = await problemOf(() =>
    withSrControlPlane(root, image.uuid, [], deadline, async (plane) => {
      proof = await plane.proveFence({ pools, ...(namespace === undefined ? {} : { namespace }) }, clients, deadline);
      await dropOldNotes(xapi, plane, image, deadline);
    }),
  );
  return { image, fenced, ...(proof === undefined ? {} : { proof }), ...(problem === undefined ? {} : { problem }) };
}

function isOf({ image, also }: PlannedFence, wanted: SrImage): boolean {
  return image === wanted || also.includes(wanted);
}

async function problemOf(work: () => Promise<unknown>): Promise<RbdsrError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof RbdsrError)) throw error;
    return error;
  }
}

async function makeAll(
  fencing: Omit<Fencing, 'client' | 'wasThere'>,
  fences: readonly PlannedFence[],
  fenced: FencedClient[],
): Promise<void> {
  const { plane, deadline } = fencing;
  const before = new Set((await plane.fences(deadline)).map(({ client }) => client));
  for (const { client } of fences) {
    await runSteps(fenceSteps, { ...fencing, client, wasThere: before.has(client) });
  }
  const after = new Map((await plane.fences(deadline)).map(({ client, until }) => [client, until]));
  for (const { client } of fences) {
    fenced.push({ client, until: after.get(client) ?? 'unknown', wasThere: before.has(client) });
  }
}

/** Notes of fences that are over: the cluster has dropped the entry, or somebody has removed it. */
async function dropOldNotes(
  xapi: Xapi,
  plane: Pick<ControlPlane, 'fences'>,
  { ref, notes }: SrImage,
  deadline: Deadline,
): Promise<void> {
  if (notes.size === 0) return;
  const there = new Set((await plane.fences(deadline)).map(({ client }) => client));
  for (const client of notes.keys()) {
    if (!there.has(client)) await removeMapKey(xapi, 'SR.sm_config', ref, noteKey(client));
  }
}
