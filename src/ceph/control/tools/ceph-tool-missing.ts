import { RbdsrError } from '../../../base/error.ts';
import type { RunOutcome } from '../../../system/run.ts';
import { errnoOf, toolFailed } from './ceph-tool-errors.ts';
import type { ToolFailure } from './ceph-tool-errors.ts';
import { formatSpec } from '../../image/image-spec.ts';
import type { ImageSpec } from '../../image/image-spec.ts';

/** The pool, namespace and perhaps image a call is about. */
export type ToolSubject = Partial<ImageSpec> & { readonly pool: string };

/**
 * ENOENT may be the pool, the namespace or the image: a second look at the pool, by `rbd` with these arguments, tells.
 */
export async function whatIsMissing(
  subject: ToolSubject,
  failure: ToolFailure,
  rbd: (args: readonly string[]) => Promise<RunOutcome>,
): Promise<RbdsrError> {
  const lacks = async (...place: readonly string[]): Promise<boolean> =>
    errnoOf(await rbd(['ls', '--format', 'json', `--pool=${subject.pool}`, ...place])) === 'ENOENT';
  if (await lacks()) {
    return new RbdsrError('pool-missing', {
      what: `${failure.cluster} has no pool called ${JSON.stringify(subject.pool)}`,
      todo: '`ceph osd pool ls` lists the pools.',
      facts: { pool: subject.pool },
    });
  }
  const namespace = subject.namespace ?? '';
  if (namespace !== '' && (await lacks(`--namespace=${namespace}`))) {
    return new RbdsrError('pool-missing', {
      what: `pool ${JSON.stringify(subject.pool)} has no namespace called ${JSON.stringify(namespace)}`,
      todo: '`rbd namespace ls POOL` lists the namespaces, `rbd namespace create` makes one.',
      facts: { pool: subject.pool, namespace },
    });
  }
  if (subject.image === undefined) return toolFailed(failure);
  return new RbdsrError('image-missing', {
    what: `${failure.cluster} has no image ${formatSpec({ ...subject, image: subject.image })}`,
    todo: 'Make it with `rbd create --size SIZE --image-feature layering`, or give device-config size.',
    facts: { pool: subject.pool, image: subject.image },
  });
}
