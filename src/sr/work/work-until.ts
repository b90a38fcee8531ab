import type { Deadline } from '../../base/deadline.ts';
import type { Xapi } from '../../xapi/client.ts';
import type { SrWork } from './work.ts';

/** The same work with another deadline, and a connection to xapi that has it too. */
export function workUntil<T extends SrWork>(
  work: T,
  deadline: Deadline,
  options: { readonly patient?: boolean } = {},
): T {
  let connection: Promise<Xapi> | undefined;
  const xapi = (): Promise<Xapi> => (connection ??= work.connect(deadline, options));
  return { ...work, deadline, xapi };
}

/**
 * The same work for undoing what it did, often because its time is over (Deadline.forCleanUp), also while xapi is being
 * restarted.
 */
export function undoWork<T extends SrWork>(work: T): T {
  return workUntil(work, work.deadline.forCleanUp(), { patient: true });
}
