import { RbdsrError } from '../../base/error.ts';
import { decodeCall } from '../../xmlrpc/decode.ts';
import { isStruct } from '../../xmlrpc/value.ts';
import { onlyArgument } from '../protocol/request.ts';
import type { StringMap } from '../../xapi/values.ts';

/**
 * One call of the host plug-in, as xapi hands it over (xen-api `ocaml/xapi/xapi_plugins.ml`): a methodCall of the
 * session and the arguments.
 */
export interface PluginRequest {
  /** As it was sent; the table says whether it exists. */
  readonly fn: string;
  readonly session: string;
  /** Has no prototype. */
  readonly args: StringMap;
}

/** Reads the one argument xapi passes. Throws 'bad-request', which never holds a value of it. */
export function decodePluginRequest(argv: readonly string[]): PluginRequest {
  const document = onlyArgument(argv, 'By hand: xe host-call-plugin host-uuid=... plugin=rbdsr fn=version.');
  const { method, params } = decodeCall(document);
  const [session, struct, ...more] = params;
  if (typeof session !== 'string' || struct === undefined || !isStruct(struct) || more.length > 0) {
    throw new RbdsrError('bad-request', {
      what: `the call of ${method} has the wrong shape`,
      expected: 'two parameters, a session and a struct of strings',
      found: `${params.length} parameters`,
    });
  }
  const args: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(struct)) {
    if (typeof value !== 'string') {
      throw new RbdsrError('bad-request', { what: `the argument ${name} of ${method} is no string` });
    }
    args[name] = value;
  }
  return { fn: method, session, args };
}

/** 'bad-request' where it is missing. */
export function argument(args: PluginRequest['args'], fn: string, name: string): string {
  const value = args[name];
  if (value !== undefined) return value;
  throw new RbdsrError('bad-request', { what: `the function ${fn} lacks the argument ${name}` });
}
