import { messageOf, RbdsrError } from '../../base/error.ts';
import { encodeResponse } from '../../xmlrpc/encode.ts';

/** What xapi's host.call_plugin returns. */
export function successDocument(value: string): string {
  return encodeResponse({ Status: 'Success', Value: value });
}

/**
 * What xapi's host.call_plugin throws: the function, the code of our error and its text behind the name stock plug-ins
 * give their own failures (xen-api `XenAPIPlugin.py`).
 */
export function failureDocument(fn: string, error: unknown): string {
  const code = error instanceof RbdsrError ? error.code : 'internal';
  if (code === 'unknown-command') return failure('UNKNOWN_XENAPI_PLUGIN_FUNCTION', fn);
  return failure('XENAPI_PLUGIN_FAILURE', fn, code, messageOf(error));
}

function failure(...description: readonly string[]): string {
  return encodeResponse({ Status: 'Failure', ErrorDescription: description });
}
