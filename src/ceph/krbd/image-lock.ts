import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Deadline } from '../../base/deadline.ts';
import { takeRecordLock } from '../../system/locks/record-lock.ts';
import type { ImageSpec } from '../image/image-spec.ts';

/**
 * Runs `work` under the lock of the image. It hands over, as `pending`, what is still stuck in the kernel when it ends:
 * such a write may land late, so the lock stays until it has.
 *
 * One lock per image, around "is it mapped" and "map it", so that two commands make one mapping. Not one lock for the
 * host: a write to `add` may hang on a dead cluster, and the images of other clusters must not wait for it.
 */
export async function withImageLock<T>(
  lockDir: string,
  spec: ImageSpec,
  deadline: Deadline,
  work: (pending: Promise<unknown>[]) => Promise<T>,
): Promise<T> {
  const name = lockName(spec);
  const queue = join(lockDir, 'waiting', name);
  const lock = await takeRecordLock(join(lockDir, name), { wait: true, deadline, queue });
  const pending: Promise<unknown>[] = [];
  try {
    return await work(pending);
  } finally {
    if (pending.length === 0) await lock.release();
    else void Promise.allSettled(pending).then(() => lock.release());
  }
}

/** A fixed length, whatever the names. */
function lockName(spec: ImageSpec): string {
  const parts = [spec.pool, spec.namespace ?? '', spec.image, spec.snapshot ?? ''].map(
    (part) => `${part.length}:${part}`,
  );
  return `map-${createHash('sha256').update(parts.join('')).digest('hex').slice(0, 24)}.lock`;
}
