import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { featureNames } from '../../image/features.ts';
import { formatSpec, type ImageSpec } from '../../image/image-spec.ts';
import { ByteReader } from '../../wire/byte-reader.ts';
import { statObject } from '../../wire/osd-messages.ts';
import type { AllocatedPart } from '../control-plane.ts';
import { HEAD, ifThere, type ImageHeader, MAY_FAIL, rbdMethod } from './image-objects.ts';
import type { PoolObjects } from './pool-objects.ts';

/** Asks for each object of the image, many at once; `data` are those of the pool that its data are in. */
export async function allocatedParts(
  objects: PoolObjects,
  data: PoolObjects,
  spec: ImageSpec,
  header: ImageHeader,
  deadline: Deadline,
): Promise<readonly AllocatedPart[]> {
  const prefix = await prefixOf(objects, spec, header, deadline);
  const objectBytes = 2 ** header.order;
  const count = Math.ceil(header.sizeBytes / objectBytes);
  const parts: AllocatedPart[] = [];
  for (let first = 0; first < count; first += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, index) => first + index);
    const found = await Promise.all(
      numbers.map((number) => {
        const object = `${prefix}.${number.toString(16).padStart(16, '0')}`;
        return ifThere(data.read(object, [statObject], deadline));
      }),
    );
    for (const [index, answer] of found.entries()) {
      const offset = (first + index) * objectBytes;
      const length = Math.min(objectBytes, header.sizeBytes - offset);
      if (answer !== undefined) parts.push({ offset, length });
    }
  }
  return parts;
}

const AT_ONCE = 128;

/** Refused for an image whose data are not simply one object after the other: striped, of format 1, or a clone. */
async function prefixOf(
  objects: PoolObjects,
  spec: ImageSpec,
  { header, format, features }: ImageHeader,
  deadline: Deadline,
): Promise<string> {
  if (format === 1) throw notSimple(spec, 'an image of format 1');
  if (featureNames(features).includes('striping')) throw notSimple(spec, 'a striped image');
  const operations = [rbdMethod('get_object_prefix'), rbdMethod('get_parent', HEAD, MAY_FAIL)];
  const [prefix, parent] = await objects.read(header, operations, deadline);
  const hasParent = parent !== undefined && parent.length > 0 && new ByteReader(parent, 'a parent').s64('pool') >= 0n;
  if (hasParent) throw notSimple(spec, 'a clone of another image');
  return new ByteReader(prefix ?? Buffer.alloc(0), 'the prefix of an image').text('prefix');
}

function notSimple(spec: ImageSpec, found: string): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `what the cluster holds of ${formatSpec(spec)} is not told by RBDSR itself`,
    expected: 'an image of format 2, neither striped nor a clone',
    found,
    todo: 'Ceph tools, on this host or on a monitor, tell it: `rbd diff --whole-object`.',
    facts: { errno: 'ENOTSUP' },
  });
}
