import { hasCode, RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';

/** What `work` returns; where the metadata volume is damaged its error names what mends it. */
export async function orRebuild<T>(sr: SrUuid, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, 'metadata-corrupt')) throw error;
    throw new RbdsrError('metadata-corrupt', {
      ...error.detail,
      todo: `The disks themselves are whole. Mend the metadata on the pool master with: rbdsr mgt rebuild ${sr}`,
      cause: error,
    });
  }
}
