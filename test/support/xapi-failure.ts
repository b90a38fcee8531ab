import { XapiError } from '../../lab/xapi-double/xapi-error.ts';
import { messageOf } from '../../src/base/error.ts';

/** What the call fails with; an error if it does not fail, or not as xapi fails. */
export async function failure(work: Promise<unknown>): Promise<XapiError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof XapiError) return error;
  throw new Error(`the call should have failed, and ${error === undefined ? 'succeeded' : messageOf(error)}`);
}
