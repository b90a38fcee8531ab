import { RbdsrError } from '../../base/error.ts';

/** What `make` returns; an error of it that is ours names the key of device-config that it is about. */
export function aboutKey<T>(key: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RbdsrError)) throw error;
    throw new RbdsrError(error.code, { ...error.detail, what: `device-config ${key}: ${error.detail.what}` });
  }
}
