import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { lastStep, type Step, step } from '../../../base/steps.ts';
import { runSteps } from '../../../system/running-steps.ts';
import { featureNames, shellSpec } from '../../image/features.ts';
import { formatSpec, type ImageSpec } from '../../image/image-spec.ts';
import { ByteWriter } from '../../wire/byte-writer.ts';
import { type ImageHeader, rbdMethod } from './image-objects.ts';
import type { PoolObjects } from './pool-objects.ts';

/** The growing of one image, or what is left of it to do. */
interface Growing {
  readonly objects: PoolObjects;
  readonly spec: ImageSpec;
  readonly image: ImageHeader;
  readonly sizeBytes: number;
  readonly deadline: Deadline;
}

/**
 * Sets the size in the header, and tells everyone who has the image open to look at it again: a kernel that mapped it
 * then has the new size. 'osd-unresponsive' names a client that did not answer; the size is set all the same.
 */
export async function growImage(
  objects: PoolObjects,
  spec: ImageSpec,
  image: ImageHeader,
  sizeBytes: number,
  deadline: Deadline,
): Promise<void> {
  const { format, features } = image;
  const names = format === 1 ? ['format 1'] : featureNames(features).filter((name) => !GROWS.includes(name));
  if (names.length > 0 && image.sizeBytes === sizeBytes) return;
  if (names.length > 0) throw notByUs(spec, names);
  await runSteps(growImageSteps, { objects, spec, image, sizeBytes, deadline });
}

export const growImageSteps: readonly Step<Growing>[] = [
  step('native.grow.after-size', setSize, {
    does: "the size is set in the image's header",
    leaves: { id: 'grown-unsaid', says: 'an image of the new size; who has it mapped sees the old one' },
    mendedBy: { by: ['again'], says: 'the same command again, which tells them; or mapping anew' },
    when: ({ image, sizeBytes }) => image.sizeBytes < sizeBytes,
  }),
  lastStep(tellWatchers, 'all who have it open are told, and have answered'),
];

async function setSize({ objects, image, sizeBytes, deadline }: Growing): Promise<void> {
  await objects.write(image.header, [rbdMethod('set_size', new ByteWriter().u64(sizeBytes).done())], deadline);
}

async function tellWatchers({ objects, spec, image, deadline }: Growing): Promise<void> {
  const missed = await objects.notify(image.header, HEADER_UPDATE, ANSWER_SECONDS, deadline);
  if (missed.length === 0) return;
  throw new RbdsrError('osd-unresponsive', {
    what: `image ${formatSpec(spec)} has its new size, but not every client that has it open has taken note`,
    expected: `an answer within ${ANSWER_SECONDS} s`,
    found: `none from ${missed.map((client) => `client.${client}`).join(', ')}`,
    todo: '`rbd status` shows their addresses; where the host lives, unmapping and mapping again shows it the size.',
    facts: { missed: missed.join(',') },
  });
}

/** Of what an image may have, what its size means nothing else to than the header. */
const GROWS: readonly string[] = ['layering', 'striping', 'deep-flatten', 'data-pool', 'operations'];

/** An object map has a bit for every object, a journal an entry for every change: librbd keeps them. */
function notByUs(spec: ImageSpec, names: readonly string[]): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `image ${formatSpec(spec)} is not grown by RBDSR itself, since it is or has more than an SR's image`,
    expected: 'layering only',
    found: names.join(', '),
    todo: `On a machine with ceph tools: \`rbd resize --size SIZE ${shellSpec(spec)}\`.`,
    facts: { features: names.join(','), errno: 'ENOTSUP' },
  });
}

/** librbd's notification of this kind (ceph `src/librbd/WatchNotifyTypes.h`, NOTIFY_OP_HEADER_UPDATE). */
const HEADER_UPDATE = new ByteWriter().versioned(1, 1, new ByteWriter().u32(3).done()).done();
const ANSWER_SECONDS = 5;
