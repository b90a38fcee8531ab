import type { Deadline } from '../base/deadline.ts';
import { inTurns } from '../base/in-turns.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { poolsOfImage } from '../ceph/control/own-user.ts';
import { formatSpec, sameSpec } from '../ceph/image/image-spec.ts';
import { askEach } from './ask-each.ts';
import type { ImageView, OtherWatcher, UnaskedImage } from './fence-plan.ts';
import type { SrImage } from './pool-standing.ts';

/** What the clusters say of the images. */
export async function lookAtImages(
  root: string,
  images: readonly SrImage[],
  neighbours: boolean,
  deadline: Deadline,
): Promise<{ readonly views: readonly ImageView[]; readonly unasked: readonly UnaskedImage[] }> {
  const { answers: views, unasked } = await askEach(root, images, deadline, (plane, image) =>
    viewOf(plane, image, neighbours, deadline),
  );
  return { views, unasked };
}

async function viewOf(
  plane: ControlPlane,
  image: SrImage,
  neighbours: boolean,
  deadline: Deadline,
): Promise<ImageView> {
  const [cluster, pools, watchers, fences] = await Promise.all([
    plane.clusterId(deadline),
    poolsOfImage(plane, image.spec, deadline),
    plane.watchers(image.spec, deadline),
    plane.fences(deadline),
  ]);
  const fenced = new Set(fences.map(({ client }) => client));
  const others = neighbours ? await watchersOfOthers(plane, image, deadline) : [];
  return { image, cluster, pools, watchers, fenced, others };
}

const AT_ONCE = 16;

/** Of all other images of its pool and namespace: those are what its user may look at. */
async function watchersOfOthers(
  plane: ControlPlane,
  { spec }: SrImage,
  deadline: Deadline,
): Promise<readonly OtherWatcher[]> {
  const listed = await plane.listImages(spec.pool, spec.namespace, deadline);
  const others = listed.map((entry) => entry.spec).filter((other) => !sameSpec(other, spec));
  const found = await inTurns(others, AT_ONCE, async (other) => {
    const watchers = await plane.watchers(other, deadline);
    const image = formatSpec(other);
    return watchers.map(({ address, client }) => ({ address, client, image }));
  });
  return found.flat();
}
