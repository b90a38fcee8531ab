import type { Deadline } from '../../../base/deadline.ts';
import type { ImageSpec } from '../../image/image-spec.ts';
import { ByteReader } from '../../wire/byte-reader.ts';
import { ByteWriter } from '../../wire/byte-writer.ts';
import { exitErrno } from '../tools/ceph-tool-errors.ts';
import { DIRECTORY, HEAD, ifThere, type ImageHeader, rbdMethod } from './image-objects.ts';
import type { PoolObjects } from './pool-objects.ts';

/** A snapshot as a clone names it: by numbers. */
export interface ParentNumbers {
  readonly pool: number;
  readonly namespace: string;
  readonly image: string;
  readonly snapshot: bigint;
}

/** Undefined for an image that is no clone, or not any more. */
export async function readParent(
  objects: PoolObjects,
  { header, format }: Pick<ImageHeader, 'header' | 'format'>,
  deadline: Deadline,
): Promise<ParentNumbers | undefined> {
  if (format === 1) return undefined;
  const answer = await sinceOctopus(objects, header, deadline);
  if (answer !== 'not known') return answer === undefined ? undefined : newForm(answer);
  return oldForm(await ifClone(objects.read(header, [rbdMethod('get_parent', HEAD)], deadline)));
}

/** A method that an OSD has not is EOPNOTSUPP, which Node knows as ENOTSUP. */
async function sinceOctopus(
  objects: PoolObjects,
  header: string,
  deadline: Deadline,
): Promise<Buffer | 'not known' | undefined> {
  try {
    return await ifClone(objects.read(header, [rbdMethod('parent_get')], deadline));
  } catch (error) {
    if (exitErrno(error) !== 'ENOTSUP') throw error;
    return 'not known';
  }
}

/** Without layering an image has no place to name a parent in: ENOEXEC. */
async function ifClone(answer: Promise<readonly (Buffer | undefined)[]>): Promise<Buffer | undefined> {
  try {
    return (await ifThere(answer))?.[0];
  } catch (error) {
    if (exitErrno(error) !== 'ENOEXEC') throw error;
    return undefined;
  }
}

/** ceph `src/cls/rbd/cls_rbd_types.h`, ParentImageSpec. */
function newForm(output: Buffer): ParentNumbers | undefined {
  const { body } = new ByteReader(output, 'the parent of an image').versioned('parent');
  const pool = body.s64('pool');
  if (pool < 0n) return undefined;
  const namespace = body.text('namespace');
  return { pool: Number(pool), namespace, image: body.text('image'), snapshot: body.u64('snapshot') };
}

/** What knew no namespaces. */
function oldForm(output: Buffer | undefined): ParentNumbers | undefined {
  if (output === undefined) return undefined;
  const parent = new ByteReader(output, 'the parent of an image');
  const pool = parent.s64('pool');
  if (pool < 0n) return undefined;
  return { pool: Number(pool), namespace: '', image: parent.text('image'), snapshot: parent.u64('snapshot') };
}

/** Its names; `objects` are those of its pool and namespace. An image in the trash keeps the name that it had. */
export async function namesOfParent(
  objects: PoolObjects,
  { image, snapshot }: ParentNumbers,
  deadline: Deadline,
): Promise<ImageSpec> {
  const [called, name] = await Promise.all([
    objects.read(
      `rbd_header.${image}`,
      [rbdMethod('get_snapshot_name', new ByteWriter().u64(snapshot).done())],
      deadline,
    ),
    nameOf(objects, image, deadline),
  ]);
  return { ...objects.place, image: name, snapshot: textIn(called, 'the name of a snapshot') };
}

async function nameOf(objects: PoolObjects, id: string, deadline: Deadline): Promise<string> {
  const input = new ByteWriter().text(id).done();
  const listed = await ifThere(objects.read(DIRECTORY, [rbdMethod('dir_get_name', input)], deadline));
  if (listed !== undefined) return textIn(listed, 'the name of an image');
  const [output] = await objects.read('rbd_trash', [rbdMethod('trash_get', input)], deadline);
  const { body } = new ByteReader(output ?? Buffer.alloc(0), 'an image in the trash').versioned('image');
  body.skip(1, 'who threw it away');
  return body.text('name');
}

function textIn([output]: readonly (Buffer | undefined)[], what: string): string {
  return new ByteReader(output ?? Buffer.alloc(0), what).text('name');
}
