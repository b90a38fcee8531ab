import type { Deadline } from '../base/deadline.ts';
import type { Xapi } from '../xapi/client.ts';
import type { SmCall } from './handler.ts';

/** The same call with another deadline, and a connection to xapi that has it too. */
export function callUntil(call: SmCall, deadline: Deadline, options: { readonly patient?: boolean } = {}): SmCall {
  let connection: Promise<Xapi> | undefined;
  const xapi = (): Promise<Xapi> => (connection ??= call.connect(deadline, options));
  return { ...call, deadline, xapi };
}

/** The same call for undoing what it did, often because its time is over (Deadline.forCleanUp), also while xapi is being restarted. */
export function undoCall(call: SmCall): SmCall {
  return callUntil(call, call.deadline.forCleanUp(), { patient: true });
}
