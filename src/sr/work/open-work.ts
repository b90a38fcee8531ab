import type { SrWork } from './work.ts';
import { type GivenWork, WorkResources } from './work-resources.ts';

/** Work on an SR, and the locks and the connection behind it, which whoever opens it closes. */
export function openWork(given: GivenWork & Pick<SrWork, 'settings'>): {
  readonly work: SrWork;
  readonly resources: WorkResources;
} {
  const { subject, profile, settings, deadline, log } = given;
  const resources = new WorkResources(given);
  const work: SrWork = {
    subject,
    profile,
    settings,
    deadline,
    log,
    waiting: (what) => given.waiting(what),
    xapi: () => resources.xapi(),
    atEnd: (last) => resources.atEnd(last),
    connect: (until, options) => resources.connect(until, options),
    awaitLateWriters: (sr, options) => resources.awaitLateWriters(sr, options),
    reading: (sr, read, options) => resources.reading(sr, read, options),
    lockSr: (sr, options) => resources.lockSr(sr, options),
    lockVdi: (vdi, options) => resources.lock(vdi, 'vdi', options),
    lock: (namespace, name, options) => resources.lock(namespace, name, options),
  };
  return { work, resources };
}
