import { withSrControlPlane } from '../access/sr-control-plane.ts';
import type { Deadline } from '../base/deadline.ts';
import { messageOf, RbdsrError } from '../base/error.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { poolsOfImage } from '../ceph/control/own-user.ts';
import { formatSpec, sameSpec } from '../ceph/image/image-spec.ts';
import type { ImageView, OtherWatcher, UnaskedImage } from './fence-plan.ts';
import type { SrImage } from './pool-standing.ts';

/** What the clusters say of the images; each SR by its own user, all at once. */
export async function lookAtImages(
  root: string,
  images: readonly SrImage[],
  neighbours: boolean,
  deadline: Deadline,
): Promise<{ readonly views: readonly ImageView[]; readonly unasked: readonly UnaskedImage[] }> {
  const views: ImageView[] = [];
  const unasked: UnaskedImage[] = [];
  await Promise.all(
    images.map(async (image) => {
      const look = (plane: ControlPlane): Promise<ImageView> => viewOf(plane, image, neighbours, deadline);
      try {
        const asking = withSrControlPlane(root, image.uuid, [], deadline, look);
        views.push(await deadline.race(asking, `the cluster of SR ${image.uuid}`));
      } catch (error) {
        if (!(error instanceof RbdsrError)) throw error;
        unasked.push({ image, why: messageOf(error) });
      }
    }),
  );
  const order = ({ image }: { readonly image: SrImage }): number => images.indexOf(image);
  return {
    views: views.toSorted((a, b) => order(a) - order(b)),
    unasked: unasked.toSorted((a, b) => order(a) - order(b)),
  };
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
  const found: OtherWatcher[] = [];
  for (let first = 0; first < others.length; first += AT_ONCE) {
    await Promise.all(
      others.slice(first, first + AT_ONCE).map(async (other) => {
        const watchers = await plane.watchers(other, deadline);
        const name = formatSpec(other);
        found.push(...watchers.map(({ address, client }) => ({ address, client, image: name })));
      }),
    );
  }
  return found;
}
