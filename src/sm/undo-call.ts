import { Deadline } from '../base/deadline.ts';
import type { Xapi } from '../xapi/client.ts';
import { connectForCall } from './call-resources.ts';
import type { SmCall } from './handler.ts';

/** Milliseconds: short, since the launcher is about to answer, and xapi's session ends with the answer. */
const UNDO_MS = 5000;

/**
 * The same call with a little time of its own, and a connection to xapi that has it too: what undoes a command often runs because the command's
 * time is over.
 */
export function undoCall(call: SmCall): SmCall {
  const own = { ...call, deadline: Deadline.after(Math.max(UNDO_MS, call.deadline.leftMs)) };
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
