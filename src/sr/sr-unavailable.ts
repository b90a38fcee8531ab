import { RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';

/** 'sr-unavailable': `what` completes the sentence "SR ... ". */
export function unavailable(uuid: SrUuid, what: string, todo: string): RbdsrError {
  return new RbdsrError('sr-unavailable', { what: `SR ${uuid} ${what}`, ...(todo === '' ? {} : { todo }) });
}
