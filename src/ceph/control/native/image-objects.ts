import type { Deadline } from '../../../base/deadline.ts';
import { hasCode } from '../../../base/error.ts';
import { ByteReader } from '../../wire/byte-reader.ts';
import { ByteWriter } from '../../wire/byte-writer.ts';
import { decodeEntityAddress } from '../../wire/entity-address.ts';
import { callMethod, listWatchers, type Operation, readBytes } from '../../wire/osd-messages.ts';
import type { ImageFormat, Watcher } from '../control-plane.ts';
import { exitErrno } from '../tools/ceph-tool-errors.ts';
import { formatEntityAddress } from './entity-address.ts';
import type { PoolObjects } from './pool-objects.ts';

/** What is in an image's header object. */
export interface ImageHeader {
  readonly format: ImageFormat;
  readonly header: string;
  readonly sizeBytes: number;
  readonly features: number;
  readonly order: number;
  /** The number of the pool of its data, where that is another than its own. */
  readonly dataPool?: number;
}

export const DIRECTORY = 'rbd_directory';
/** No snapshot (CEPH_NOSNAP). */
export const HEAD = new ByteWriter().u64(-2n).done();
/** A failure of it fails nothing else in the message (CEPH_OSD_OP_FLAG_FAILOK). */
export const MAY_FAIL = 2;
const PAGE = 1024;
const MOST_IMAGES = 1_000_000;

export function rbdMethod(method: string, input: Buffer = Buffer.alloc(0), flags = 0): Operation {
  return callMethod('rbd', method, input, flags);
}

/** All names of images, and the ids of those of format 2. Undefined where there is no directory. */
export async function listDirectory(
  objects: PoolObjects,
  deadline: Deadline,
): Promise<ReadonlyMap<string, string | undefined> | undefined> {
  const names = new Map<string, string | undefined>();
  let after = '';
  for (;;) {
    const input = new ByteWriter().text(after).u64(PAGE).done();
    // What names the images of format 1 comes with the first page.
    const operations = [rbdMethod('dir_list', input), ...(names.size === 0 ? [readBytes(0, 0)] : [])];
    const answer = await ifThere(objects.read(DIRECTORY, operations, deadline));
    if (answer === undefined) return undefined;
    const [page, data] = answer;
    for (const name of formatOneNames(data)) names.set(name, undefined);
    const read = new ByteReader(page ?? Buffer.alloc(0), 'the directory of images');
    const entries = read.list('images', 8, () => [read.text('name'), read.text('id')] as const);
    for (const [name, id] of entries) names.set(name, id);
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) return names;
    if (Buffer.compare(Buffer.from(last[0]), Buffer.from(after)) <= 0 || names.size > MOST_IMAGES) {
      throw read.garbled('images', `names behind ${JSON.stringify(after)}, ${MOST_IMAGES} at most`, `${names.size}`);
    }
    if (deadline.expired) throw deadline.exceeded('the names of all images', 0);
    [after] = last;
  }
}

/** The data of the directory: a header, and each name with nothing behind it. */
function formatOneNames(data: Buffer | undefined): readonly string[] {
  if (data === undefined || data.length === 0) return [];
  const read = new ByteReader(data, 'the directory of images of format 1');
  read.blob('header');
  return read.list('images', 8, () => {
    const name = read.text('name');
    read.blob('of the name');
    return name;
  });
}

/** Undefined where there is no image of this name that can be opened. */
export async function readImageHeader(
  objects: PoolObjects,
  image: string,
  deadline: Deadline,
): Promise<ImageHeader | undefined> {
  const id = await idOf(objects, image, deadline);
  return id === undefined ? formatOneHeader(objects, image, deadline) : headerOf(objects, id, deadline);
}

export async function idOf(objects: PoolObjects, image: string, deadline: Deadline): Promise<string | undefined> {
  const answer = await ifThere(objects.read(`rbd_id.${image}`, [rbdMethod('get_id')], deadline));
  return answer?.[0] === undefined ? undefined : new ByteReader(answer[0], 'the id of an image').text('id');
}

export async function headerOf(objects: PoolObjects, id: string, deadline: Deadline): Promise<ImageHeader | undefined> {
  const header = `rbd_header.${id}`;
  const answer = await ifThere(
    objects.read(
      header,
      [
        rbdMethod('get_size', HEAD),
        rbdMethod('get_features', Buffer.concat([HEAD, READ_ONLY])),
        rbdMethod('get_data_pool', Buffer.alloc(0), MAY_FAIL),
      ],
      deadline,
    ),
  );
  if (answer === undefined) return undefined;
  const [size, features, dataPool] = answer.map((output) => new ByteReader(output ?? Buffer.alloc(0), 'a header'));
  if (size === undefined || features === undefined) return undefined;
  const order = size.u8('order');
  const pool = dataPool === undefined || dataPool.left === 0 ? -1n : dataPool.s64('data pool');
  return {
    format: 2,
    header,
    order,
    sizeBytes: size.number('size'),
    features: features.number('features'),
    ...(pool < 0n ? {} : { dataPool: Number(pool) }),
  };
}

/** As who would not change the image: what only writers need is not asked for. */
const READ_ONLY = Buffer.from([1]);

/** ceph `src/include/rbd_types.h`, struct rbd_obj_header_ondisk. */
async function formatOneHeader(
  objects: PoolObjects,
  image: string,
  deadline: Deadline,
): Promise<ImageHeader | undefined> {
  const header = `${image}.rbd`;
  const [bytes] = (await ifThere(objects.read(header, [readBytes(0, FORMAT_ONE_BYTES)], deadline))) ?? [];
  if (bytes === undefined || bytes.length < FORMAT_ONE_BYTES || bytes.toString('latin1', 0x40, 0x43) !== 'RBD') {
    return undefined;
  }
  const order = bytes.readUInt8(0x4c);
  return {
    format: 1,
    header,
    order,
    features: 0,
    sizeBytes: new ByteReader(bytes.subarray(0x50), 'a header').number('size'),
  };
}

const FORMAT_ONE_BYTES = 112;

export async function readWatchers(
  objects: PoolObjects,
  header: string,
  deadline: Deadline,
): Promise<readonly Watcher[]> {
  const [output] = await objects.read(header, [listWatchers], deadline);
  const all = new ByteReader(output ?? Buffer.alloc(0), 'the watchers of an image').versioned('watchers').body;
  return all.list('watchers', 6, () => {
    const watcher = all.versioned('watcher').body;
    watcher.skip(1, 'type');
    const client = watcher.number('client');
    watcher.skip(8 + 4, 'cookie and timeout');
    return { client, address: formatEntityAddress(decodeEntityAddress(watcher)) };
  });
}

/** Undefined instead of ENOENT. */
export async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (hasCode(error, 'control-plane-failed') && exitErrno(error) === 'ENOENT') return undefined;
    throw error;
  }
}
