import { type ErrorCode, messageOf, RbdsrError } from '../../base/error.ts';
import { notUndone } from '../../base/undo.ts';
import { encodeFault } from '../../xmlrpc/encode.ts';
import type { XmlRpcFault } from '../../xmlrpc/value.ts';
import { faultString, smNumber } from './error-numbers.ts';

/** What the number of an error depends on beside its code; absent while the request is not understood yet. */
export interface FaultContext {
  readonly command?: { readonly defaultNumber: number };
  readonly profile?: { readonly unforeseenErrorNumber: number };
}

/** The storage manager's number for what no one gave one. */
const GENERAL = 202;
const UNFORESEEN = 1200;

/** The fault that tells xapi of `error`. Whatever is not ours counts as 'internal'. */
export function faultOf(error: unknown, context: FaultContext): XmlRpcFault {
  const code: ErrorCode = error instanceof RbdsrError ? error.code : 'internal';
  const faultCode = smNumber(code, {
    command: context.command?.defaultNumber ?? GENERAL,
    unforeseen: context.profile?.unforeseenErrorNumber ?? UNFORESEEN,
  });
  return { faultCode, faultString: faultString(faultCode, messageOf(error)) };
}

export function faultDocument(fault: XmlRpcFault): string {
  return encodeFault(fault);
}

/**
 * For the log: an error of ours in one line with its causes and what could not be undone, anything else with its stack,
 * as it is a defect.
 */
export function describeFailure(error: unknown): string {
  if (!(error instanceof RbdsrError)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const { cause } = error.detail;
  const because = cause === undefined ? '' : ` (because ${messageOf(cause)})`;
  const left = notUndone(error).map((what) => `; not undone: ${what}`);
  return `${error.code}: ${error.message}${because}${left.join('')}`;
}
