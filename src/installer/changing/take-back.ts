import { type Step, step } from '../../base/steps.ts';
import { runStepsAtOnce } from '../../system/running-steps.ts';
import type { Host, Write } from '../host.ts';
import { eitherWay } from './mending.ts';
import { type LeftAlone, restore } from './restore.ts';
import { freeRoom } from '../state/room.ts';

/**
 * Takes back the writes of this process, the last one first: each path and each entry of the journal is as it was
 * before it.
 */
export function takeBack(host: Host): readonly LeftAlone[] {
  freeRoom(host);
  return host.writes
    .splice(0)
    .toReversed()
    .flatMap((write) => {
      const taking: Taking = { host, write, left: undefined };
      runStepsAtOnce(takeBackSteps, taking);
      return taking.left ?? [];
    });
}

/** The taking back of one write. */
interface Taking {
  readonly host: Host;
  readonly write: Write;
  left: LeftAlone | undefined;
}

export const takeBackSteps: readonly Step<Taking>[] = [
  step('host.taken-back', restorePath, {
    does: 'the path gets back what it was',
    leaves: { id: 'path-undone', says: 'the path as it was, with a record' },
    mendedBy: eitherWay,
  }),
  step('host.unrecorded', restoreEntry, {
    does: 'the journal says of it what it said before',
    leaves: { id: 'path-dropped', says: 'the path as it was' },
    mendedBy: eitherWay,
  }),
];

function restorePath(taking: Taking): void {
  const { host, write } = taking;
  taking.left = restore(host, write.path, write.was);
}

function restoreEntry({ host, write: { entry, entryBefore } }: Taking): void {
  if (entryBefore === undefined) host.journal.drop(entry);
  else host.journal.record(entryBefore);
}
