import { RbdsrError } from '../../base/error.ts';
import type { Handler } from '../handler.ts';

/** A command xapi may send that does not work: 38, which xapi takes as "the driver does not have this". */
export function unimplemented(why: string): Handler {
  return async ({ request }) => {
    throw new RbdsrError('unimplemented', { what: `${request.command} is not supported`, todo: why });
  };
}
