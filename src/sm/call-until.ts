import type { Deadline } from '../base/deadline.ts';
import type { Xapi } from '../xapi/client.ts';
import { connectForCall } from './call-resources.ts';
import type { SmCall } from './handler.ts';

/** The same call with another deadline, and a connection to xapi that has it too. */
export function callUntil(call: SmCall, deadline: Deadline): SmCall {
  const own = { ...call, deadline };
  let connection: Promise<Xapi> | undefined;
  const xapi = (): Promise<Xapi> => {
    if (connection === undefined) {
      connection = connectForCall(own);
      call.atEnd(async () => (await connection?.catch(() => undefined))?.close());
    }
    return connection;
  };
  return { ...own, xapi };
}

/** The same call for undoing what it did, often because its time is over (Deadline.forCleanUp). */
export function undoCall(call: SmCall): SmCall {
  return callUntil(call, call.deadline.forCleanUp());
}
