import type { RbdsrError } from '../../../base/error.ts';
import type { RunOutcome } from '../../../system/run.ts';
import { errnoOf, toolFailed } from './ceph-tool-errors.ts';
import type { ToolFailure } from './ceph-tool-errors.ts';
import type { ImageSpec } from '../../image/image-spec.ts';
import { poolNotAllowed, type PoolPlace } from '../not-allowed.ts';
import { imageMissing, namespaceMissing, poolMissing } from '../missing.ts';

/** The pool, namespace and perhaps image a call is about, and what else it takes. */
export type ToolSubject = Partial<ImageSpec> & { readonly pool: string; readonly besides?: readonly PoolPlace[] };

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
  if (await lacks()) return poolMissing(failure.cluster, subject.pool);
  const namespace = subject.namespace ?? '';
  if (namespace !== '' && (await lacks(`--namespace=${namespace}`))) return namespaceMissing(subject.pool, namespace);
  if (subject.image === undefined) return toolFailed(failure);
  return imageMissing(failure.cluster, { ...subject, image: subject.image });
}

/** EPERM: the OSDs do not let this user in there. */
export function placeRefused({ pool, namespace = '', besides }: ToolSubject, failure: ToolFailure): RbdsrError {
  return poolNotAllowed(failure, { pool, ...(namespace === '' ? {} : { namespace }) }, besides);
}
