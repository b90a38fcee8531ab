import { withSrControlPlane } from '../access/sr-control-plane.ts';
import type { Deadline } from '../base/deadline.ts';
import { messageOf, RbdsrError } from '../base/error.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import type { UnaskedImage } from './fence-plan.ts';
import type { SrImage } from './pool-standing.ts';

export interface Answers<Answer> {
  /** In the order of the images. */
  readonly answers: readonly Answer[];
  readonly unasked: readonly UnaskedImage[];
}

/** Asks the cluster of each image, each as its SR's own user, all at once; who cannot be asked keeps nobody else. */
export async function askEach<Answer>(
  root: string,
  images: readonly SrImage[],
  deadline: Deadline,
  ask: (plane: ControlPlane, image: SrImage) => Promise<Answer>,
): Promise<Answers<Answer>> {
  const outcomes = await Promise.all(images.map((image) => outcomeOf(root, image, deadline, ask)));
  return {
    answers: outcomes.flatMap((outcome) => ('answer' in outcome ? [outcome.answer] : [])),
    unasked: outcomes.flatMap((outcome) => ('why' in outcome ? [outcome] : [])),
  };
}

async function outcomeOf<Answer>(
  root: string,
  image: SrImage,
  deadline: Deadline,
  ask: (plane: ControlPlane, image: SrImage) => Promise<Answer>,
): Promise<{ readonly answer: Answer } | UnaskedImage> {
  try {
    const asking = withSrControlPlane(root, image.uuid, [], deadline, (plane) => ask(plane, image));
    return { answer: await deadline.race(asking, `the cluster of SR ${image.uuid}`) };
  } catch (error) {
    if (!(error instanceof RbdsrError)) throw error;
    return { image, why: messageOf(error) };
  }
}
