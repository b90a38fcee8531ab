import { randomBytes } from 'node:crypto';
import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { lastStep, type Mending, type Step, step } from '../../../base/steps.ts';
import { undo } from '../../../base/undo.ts';
import { runSteps } from '../../../system/running-steps.ts';
import { FEATURES } from '../../image/features.ts';
import { printable } from '../../image/image-spec.ts';
import { ByteReader } from '../../wire/byte-reader.ts';
import { ByteWriter } from '../../wire/byte-writer.ts';
import { createExclusively, removeObject, statObject } from '../../wire/osd-messages.ts';
import { exitErrno } from '../tools/ceph-tool-errors.ts';
import { DIRECTORY, headerOf, idOf, ifThere, rbdMethod } from './image-objects.ts';
import type { PoolObjects } from './pool-objects.ts';

/** What an image is made of: with the layering feature, that of a data pool where it has one, and nothing else. */
export interface NewImage {
  readonly name: string;
  readonly sizeBytes: number;
  /** 2 to this power bytes are one object. */
  readonly order: number;
  /** Where its data are to be, if not beside its header. */
  readonly data?: PoolObjects;
}

/** The making of one image, or what is left of it to do. */
interface Making {
  readonly objects: PoolObjects;
  readonly image: NewImage;
  readonly deadline: Deadline;
  /** Of the entry in the directory: ours, or what a call that was cut short has left. */
  id: string;
  isListed: boolean;
  hasId: boolean;
  /** The entry is this call's own, and goes with it where it fails. */
  isOwn: boolean;
}

/**
 * Makes an image that is not there, or finishes what was begun under this name: by another call that was cut short, or
 * that does the same at this moment; all that is written says the same then.
 */
export async function makeImage(objects: PoolObjects, image: NewImage, deadline: Deadline): Promise<void> {
  const making = await begun(objects, image, deadline);
  try {
    await runSteps(makeImageSteps, making);
  } catch (error) {
    await takeBack(making, error);
  }
}

const again: Mending = { by: ['again'], says: 'the next create of this name goes on with the same id' };

export const makeImageSteps: readonly Step<Making>[] = [
  step('native.create.after-directory', enterDirectory, {
    does: 'name and id are added to `rbd_directory`',
    leaves: { id: 'listed', says: 'a name that `rbd ls` shows and nobody can open' },
    mendedBy: again,
    when: ({ isListed }) => !isListed,
  }),
  step('native.create.after-id', writeId, {
    does: '`rbd_id.NAME` is made, with the id',
    leaves: { id: 'named', says: 'the same, with its id' },
    mendedBy: again,
    when: ({ hasId }) => !hasId,
  }),
  lastStep(writeHeader, '`rbd_header.ID` is made'),
];

async function begun(objects: PoolObjects, image: NewImage, deadline: Deadline): Promise<Making> {
  const listed = await listedId(objects, image.name, deadline);
  const named = await idOf(objects, image.name, deadline);
  const isListed = listed !== undefined;
  const id = named ?? listed ?? newId();
  const making = { objects, image, deadline, id, isListed, hasId: named !== undefined, isOwn: !isListed };
  // A user that may not use the pool of the data is told so before anything is written.
  if (named !== undefined || isListed || image.data !== undefined) await refuseOrphan(making);
  return making;
}

async function listedId(objects: PoolObjects, name: string, deadline: Deadline): Promise<string | undefined> {
  const input = new ByteWriter().text(name).done();
  const [output] = (await ifThere(objects.read(DIRECTORY, [rbdMethod('dir_get_id', input)], deadline))) ?? [];
  return output === undefined ? undefined : new ByteReader(output, 'the id of an image').text('id');
}

/** At most 14 hexadecimal digits, for names of objects are bounded. */
function newId(): string {
  return randomBytes(7).toString('hex');
}

/** Data that have lost their header are no making that was cut short: a new header would show them. */
async function refuseOrphan({ objects, image, id, deadline }: Making): Promise<void> {
  const first = `${prefixOf({ objects, image, id })}.${'0'.repeat(16)}`;
  if ((await ifThere((image.data ?? objects).read(first, [statObject], deadline))) === undefined) return;
  throw new RbdsrError('control-plane-failed', {
    what: `an image called ${JSON.stringify(printable(image.name))} has data, but its header is gone`,
    expected: `an object rbd_header.${id}`,
    todo: 'Choose another name, or remove what is left of it with `rbd rm`.',
    facts: { errno: 'EEXIST' },
  });
}

async function enterDirectory(making: Making): Promise<void> {
  const { objects, image, id, deadline } = making;
  const entry = new ByteWriter().text(image.name).text(id).done();
  // A namespace that is being removed takes no new image.
  const assertion = objects.namespace === '' ? [] : [rbdMethod('dir_state_assert', Buffer.from([0]))];
  try {
    await objects.write(DIRECTORY, [...assertion, rbdMethod('dir_add_image', entry)], deadline);
  } catch (error) {
    if (exitErrno(error) !== 'EEXIST') throw error;
    // Somebody else was faster, and all that follows is done under that id.
    making.id = (await listedId(objects, image.name, deadline)) ?? id;
    making.isOwn = false;
  }
}

async function writeId({ objects, image, id, deadline }: Making): Promise<void> {
  const input = new ByteWriter().text(id).done();
  await unlessThere(
    objects.write(`rbd_id.${image.name}`, [createExclusively(), rbdMethod('set_id', input)], deadline),
    async () => (await idOf(objects, image.name, deadline)) === id,
  );
}

async function writeHeader({ objects, image, id, deadline }: Making): Promise<void> {
  const input = new ByteWriter()
    .u64(image.sizeBytes)
    .u8(image.order)
    .u64(FEATURES.layering + (image.data === undefined ? 0 : FEATURES['data-pool']))
    .text(prefixOf({ objects, image, id }))
    .u64(image.data?.pool.id ?? NO_DATA_POOL)
    .done();
  await unlessThere(
    objects.write(`rbd_header.${id}`, [createExclusively(), rbdMethod('create', input)], deadline),
    async () => (await headerOf(objects, id, deadline)) !== undefined,
  );
}

const NO_DATA_POOL = -1n;

/** In another pool the data say whose they are (ceph `src/librbd/image/CreateRequest.cc`). */
function prefixOf({ objects, image, id }: Pick<Making, 'objects' | 'image' | 'id'>): string {
  return image.data === undefined ? `rbd_data.${id}` : `rbd_data.${objects.pool.id}.${id}`;
}

/** What another call has made meanwhile is as good as ours, where it is the same. */
async function unlessThere(write: Promise<void>, isSame: () => Promise<boolean>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (exitErrno(error) !== 'EEXIST' || !(await isSame())) throw error;
  }
}

/**
 * The last thing first, and only where the name is this call's own and has no header: with one it is an image, which
 * another call may have finished meanwhile.
 */
async function takeBack({ objects, image, id, isOwn, deadline }: Making, error: unknown): Promise<never> {
  if (!isOwn) throw error;
  const own = deadline.forCleanUp();
  const isImage = await headerOf(objects, id, own).then(
    (header) => header !== undefined,
    () => true,
  );
  if (isImage) throw error;
  return undo(error, {
    'the id of the image that was not made is removed': async () => {
      if ((await idOf(objects, image.name, own)) === id) {
        await objects.write(`rbd_id.${image.name}`, [removeObject], own);
      }
    },
    'its name is taken out of the directory': async () => {
      const entry = new ByteWriter().text(image.name).text(id).done();
      await ifThere(objects.write(DIRECTORY, [rbdMethod('dir_remove_image', entry)], own));
    },
  });
}
