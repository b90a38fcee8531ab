import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { formatSpec, type ImageSpec } from '../../image/image-spec.ts';
import { ByteWriter } from '../../wire/byte-writer.ts';
import { rbdMethod } from './image-objects.ts';
import type { PoolObjects } from './pool-objects.ts';

/**
 * Sets the size in the header, and tells everyone who has the image open to look at it again: a kernel that mapped it
 * then has the new size. 'osd-unresponsive' names a client that did not answer; the size is set all the same.
 */
export async function growImage(
  objects: PoolObjects,
  spec: ImageSpec,
  header: string,
  sizeBytes: number,
  deadline: Deadline,
): Promise<void> {
  await objects.write(header, [rbdMethod('set_size', new ByteWriter().u64(sizeBytes).done())], deadline);
  const missed = await objects.notify(header, HEADER_UPDATE, ANSWER_SECONDS, deadline);
  if (missed.length === 0) return;
  throw new RbdsrError('osd-unresponsive', {
    what: `image ${formatSpec(spec)} has its new size, but not every client that has it open has taken note`,
    expected: `an answer within ${ANSWER_SECONDS} s`,
    found: `none from ${missed.map((client) => `client.${client}`).join(', ')}`,
    todo: '`rbd status` shows their addresses; where the host lives, unmapping and mapping again shows it the size.',
    facts: { missed: missed.join(',') },
  });
}

/** librbd's notification of this kind (ceph `src/librbd/WatchNotifyTypes.h`, NOTIFY_OP_HEADER_UPDATE). */
const HEADER_UPDATE = new ByteWriter().versioned(1, 1, new ByteWriter().u32(3).done()).done();
const ANSWER_SECONDS = 5;
