import { compareDisks } from './compare.ts';
import { Difference } from './difference.ts';
import { Model } from './model.ts';
import { nextOperation } from './next-operation.ts';
import { type Operation, operationText } from './operation.ts';
import { type Counts, History } from './perform.ts';
import { isPossible } from './possible.ts';
import { Random } from './random.ts';
import { TwoHosts } from './two-hosts.ts';
import { checkEmpty, checkWhole } from './whole-check.ts';

/** What came of a history. */
export interface Outcome {
  /** As it was told, with what could not be done left out. */
  readonly story: readonly Operation[];
  readonly difference?: string;
  /** It was found when the story was over. */
  readonly isAtEnd?: boolean;
}

/** What a test of the test changes in the product before a history begins. */
export type Plant = (hosts: TwoHosts) => void;

export interface Telling {
  readonly counts: Counts;
  readonly plant?: Plant | undefined;
  /** Before each operation. */
  readonly tells?: ((line: string) => void) | undefined;
  /** False: it stops when the story is over, and nothing is looked at any more. */
  readonly endsWell?: boolean;
  /** Somebody has interrupted it: the pool is taken down after the operation that is under way. */
  readonly isInterrupted?: (() => boolean) | undefined;
}

/** A history of so many operations, all of which the seed decides: the allocation of the SR, too. */
export function randomHistory(seed: number, operations: number, telling: Telling): Promise<Outcome> {
  const random = new Random(seed);
  let number = 0;
  return tell(allocationOf(seed), telling, (model) =>
    (number += 1) > operations ? undefined : nextOperation(random, model, number),
  );
}

/** The same history again, or a shorter one. */
export function toldHistory(seed: number, story: readonly Operation[], telling: Telling): Promise<Outcome> {
  const left = story.values();
  return tell(allocationOf(seed), telling, (model) => {
    for (const operation of left) if (isPossible(operation, model)) return operation;
    return undefined;
  });
}

function allocationOf(seed: number): 'thin' | 'thick' {
  return seed % 2 === 0 ? 'thick' : 'thin';
}

async function tell(
  allocation: 'thin' | 'thick',
  { counts, plant, tells, endsWell = true, isInterrupted = () => false }: Telling,
  next: (model: Model) => Operation | undefined,
): Promise<Outcome> {
  const story: Operation[] = [];
  let isAtEnd = false;
  await using hosts = await TwoHosts.make(allocation);
  plant?.(hosts);
  const history = new History(hosts, new Model(), counts);
  try {
    for (let operation = next(history.model); operation !== undefined; operation = next(history.model)) {
      if (isInterrupted()) return { story };
      story.push(operation);
      tells?.(operationText(operation));
      await history.perform(operation);
      if (operation.verb !== 'write') await compareDisks(history);
      if (operation.verb === 'scan' && isQuiet(history.model)) await checkWhole(history);
    }
    isAtEnd = true;
    if (endsWell && !isInterrupted()) {
      tells?.('the end');
      await endWell(history);
    }
    return { story };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { story, isAtEnd, difference: error instanceof Difference ? error.message : String(error.stack) };
  } finally {
    history.leave();
  }
}

/** Nothing is left of what was cut short. */
function isQuiet(model: Model): boolean {
  return !model.isUnsettled && model.known().length === model.disks.size;
}

/** All guests shut down, the SR is looked at, and then all disks go. */
async function endWell(history: History): Promise<void> {
  const { hosts, model } = history;
  await history.perform({ verb: 'scan' });
  for (const { name: disk, uses } of model.all())
    for (const host of uses.keys()) await history.perform({ verb: 'detach', disk, host });
  await history.perform({ verb: 'collect' });
  await history.perform({ verb: 'scan' });
  await compareDisks(history);
  await checkWhole(history);
  // What fsck says to do about a disk that only a scan has found.
  if (model.hasBeenCut) await hosts.command(['mgt', 'rebuild', hosts.srUuid]);
  const { code, output } = await hosts.command(['fsck', hosts.srUuid]);
  if (code !== 0) throw new Difference(`rbdsr fsck ends with ${code}:\n${output}`);
  for (const { name: disk } of model.all()) await history.perform({ verb: 'delete', disk });
  await history.perform({ verb: 'collect' });
  await history.perform({ verb: 'scan' });
  await checkEmpty(hosts);
}
