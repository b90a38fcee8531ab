import type { Deadline } from '../../../base/deadline.ts';
import { ByteReader } from '../../wire/byte-reader.ts';
import { ByteWriter } from '../../wire/byte-writer.ts';
import { ifThere, rbdMethod } from './image-objects.ts';
import type { PoolObjects } from './pool-objects.ts';

/** What the pool knows besides its default one, in order; `objects` are those of that one. */
export async function listNamespaces(objects: PoolObjects, deadline: Deadline): Promise<readonly string[]> {
  const names: string[] = [];
  for (;;) {
    const after = names.at(-1) ?? '';
    const input = new ByteWriter().text(after).u64(PAGE).done();
    const [page] = (await ifThere(objects.read(NAMESPACES, [rbdMethod('namespace_list', input)], deadline))) ?? [];
    if (page === undefined) return names;
    const read = new ByteReader(page, 'the namespaces of a pool');
    const more = read.list('namespaces', 4, () => read.text('name'));
    const last = more.at(-1);
    names.push(...more);
    if (last === undefined || more.length < PAGE) return names;
    if (Buffer.compare(Buffer.from(last), Buffer.from(after)) <= 0 || names.length > MOST_NAMESPACES) {
      throw read.garbled(
        'namespaces',
        `names behind ${JSON.stringify(after)}, ${MOST_NAMESPACES} at most`,
        `${names.length}`,
      );
    }
    if (deadline.expired) throw deadline.exceeded('the names of all namespaces', 0);
  }
}

/** ceph `src/include/rbd_types.h`, RBD_NAMESPACE. */
const NAMESPACES = 'rbd_namespace';
const PAGE = 1024;
const MOST_NAMESPACES = 100_000;
