import { CallResources } from './call-resources.ts';
import type { SmCall } from './handler.ts';

/** What a handler gets, and the locks and the connection behind it, which the frame closes. */
export function openCall(
  known: Pick<SmCall, 'request' | 'srType' | 'profile' | 'settings' | 'deadline' | 'log' | 'waiting'>,
): {
  readonly call: SmCall;
  readonly resources: CallResources;
} {
  const resources = new CallResources(known);
  const call: SmCall = {
    ...known,
    xapi: () => resources.xapi(),
    atEnd: (work) => resources.atEnd(work),
    connect: (deadline, options) => resources.connect(deadline, options),
    awaitLateWriters: (sr, options) => resources.awaitLateWriters(sr, options),
    reading: (sr, work, options) => resources.reading(sr, work, options),
    lockSr: (sr, options) => resources.lockSr(sr, options),
    lockVdi: (vdi, options) => resources.lock(vdi, 'vdi', options),
    lock: (namespace, name, options) => resources.lock(namespace, name, options),
  };
  return { call, resources };
}
