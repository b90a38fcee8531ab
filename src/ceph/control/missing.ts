import { RbdsrError } from '../../base/error.ts';
import { formatSpec, type ImageSpec, printable } from '../image/image-spec.ts';

/** `cluster`: "the cluster at 10.0.0.11:6789". */
export function poolMissing(cluster: string, pool: string): RbdsrError {
  return new RbdsrError('pool-missing', {
    what: `${cluster} has no pool called ${JSON.stringify(printable(pool))}`,
    todo: '`ceph osd pool ls` lists the pools.',
    facts: { pool },
  });
}

export function namespaceMissing(pool: string, namespace: string): RbdsrError {
  return new RbdsrError('pool-missing', {
    what: `pool ${JSON.stringify(printable(pool))} has no namespace called ${JSON.stringify(printable(namespace))}`,
    todo: '`rbd namespace ls POOL` lists the namespaces, `rbd namespace create` makes one.',
    facts: { pool, namespace },
  });
}

export function imageMissing(cluster: string, spec: ImageSpec): RbdsrError {
  return new RbdsrError('image-missing', {
    what: `${cluster} has no image ${formatSpec(spec)}`,
    todo: 'Make it with `rbd create --size SIZE --image-feature layering`, or give device-config size.',
    facts: { pool: spec.pool, image: spec.image },
  });
}
