import type { Deadline } from '../base/deadline.ts';
import type { Fence } from '../ceph/control/control-plane.ts';
import { askEach } from './ask-each.ts';
import type { FenceNote } from './fence-notes.ts';
import type { UnaskedImage } from './fence-plan.ts';
import type { PoolStanding, SrImage } from './pool-standing.ts';

/** An entry of a cluster's list beside what we wrote down of it. */
export interface KnownFence {
  readonly client: string;
  /** The fsid. */
  readonly cluster: string;
  /** As the cluster has it; absent for a note of ours beside which there is no entry any more. */
  readonly until?: string;
  /** Absent where it is not ours. */
  readonly note?: FenceNote;
  /** The SRs that keep the note. */
  readonly notedBy: readonly SrImage[];
  /** SRs of that cluster, by whose users it can be asked. */
  readonly images: readonly SrImage[];
}

export interface FenceList {
  readonly fences: readonly KnownFence[];
  readonly unasked: readonly UnaskedImage[];
}

interface AskedCluster {
  readonly image: SrImage;
  readonly cluster: string;
  readonly fences: readonly Fence[];
}

/** Of every cluster that an SR of the pool is in. */
export async function listFences(root: string, { images }: PoolStanding, deadline: Deadline): Promise<FenceList> {
  const { answers: asked, unasked } = await askEach(
    root,
    images,
    deadline,
    async (plane, image): Promise<AskedCluster> => ({
      image,
      cluster: await plane.clusterId(deadline),
      fences: await plane.fences(deadline),
    }),
  );
  const clusters = [...new Set(asked.map(({ cluster }) => cluster))].toSorted();
  return { fences: clusters.flatMap((cluster) => joined(cluster, asked)), unasked };
}

/** Entries in order of their clients; then what is left of notes. */
function joined(cluster: string, asked: readonly AskedCluster[]): readonly KnownFence[] {
  const own = asked.filter((one) => one.cluster === cluster);
  const images = own.map(({ image }) => image);
  const ends = new Map(own.flatMap(({ fences }) => fences.map(({ client, until }) => [client, until] as const)));
  const noted = images.flatMap(({ notes }) => [...notes.keys()]);
  const clients = [...new Set([...[...ends.keys()].toSorted(), ...noted])];
  return clients.map((client) => knownFence(client, cluster, ends.get(client), images));
}

function knownFence(
  client: string,
  cluster: string,
  until: string | undefined,
  images: readonly SrImage[],
): KnownFence {
  const notedBy = images.filter(({ notes }) => notes.has(client));
  const note = notedBy[0]?.notes.get(client);
  return {
    client,
    cluster,
    ...(until === undefined ? {} : { until }),
    ...(note === undefined ? {} : { note }),
    notedBy,
    images,
  };
}
