import { MiB, SECTOR } from '../../src/base/units.ts';
import { protocols } from '../../src/main/protocols.ts';
import type { Disk, Model } from './model.ts';
import type { Operation, Verb } from './operation.ts';
import { isPossible, writers } from './possible.ts';
import type { Random } from './random.ts';

/** Of every hundred; what is not possible is drawn again. */
const WEIGHTS: Readonly<Record<Verb, number>> = {
  create: 4,
  snapshot: 18,
  clone: 7,
  delete: 14,
  'delete-base': 1,
  resize: 4,
  attach: 11,
  detach: 6,
  move: 4,
  write: 24,
  scan: 4,
  replug: 2,
  reboot: 3,
  collect: 10,
};
const DRAWS = 200;
/** More live disks than this are not made. */
const MOST_DISKS = 8;
const FEWEST_DISKS = 2;
const LARGEST_MIB = 16;
const RAW_PERCENT = 10;
const KILLED_PERCENT = 30;
const LATER_PASS_PERCENT = 25;
const HOSTS = 2;
/** After a cut the next thing is often what mends it, and sometimes anything. */
const MENDED_PERCENT = 60;

/** The protocols whose steps a verb may come to, by title. */
const WALKS: Readonly<Partial<Record<Verb, readonly string[]>>> = {
  create: ['vdi_create', 'metadata: add'],
  snapshot: ['vdi_snapshot'],
  clone: ['vdi_snapshot'],
  delete: ['vdi_delete', 'metadata: delete'],
  resize: ['vdi_resize', 'growing the LV of a VHD'],
  attach: ['vdi_activate', 'activating a chain', 'starting an NBD server'],
  detach: ['vdi_deactivate', 'deactivating a chain', 'ending an NBD server'],
  scan: ['finishing a snapshot', 'undoing a snapshot', 'undoing that', 'vdi_delete', 'metadata: delete'],
  collect: ['merging an inner node', 'relinking a child', 'removing garbage', 'growing the LV of a VHD'],
};
/** The same of disks that guests have in use. */
const WALKS_IN_USE: Readonly<Partial<Record<Verb, readonly string[]>>> = {
  snapshot: ['vdi_snapshot of a disk in use, after its journal', 'a paused disk goes on, on one host'],
  clone: ['vdi_snapshot of a disk in use, after its journal', 'a paused disk goes on, on one host'],
  scan: ['a paused disk goes on, on one host'],
  collect: ['relinking its children', 'relinking a child', 'a paused disk goes on, on one host'],
};
/** Where an operation comes to the same step again: of another volume, or another child. */
const REPEATED = /^(vdi-create|chain|relink|collect)/;

/** All fault points at which histories may die. */
export const KILL_POINTS: ReadonlySet<string> = new Set(
  [...Object.values(WALKS), ...Object.values(WALKS_IN_USE)].flatMap(pointsOf),
);

function pointsOf(titles: readonly string[]): readonly string[] {
  const walked = protocols.filter(({ title }) => titles.includes(title));
  return [...new Set(walked.flatMap(({ steps }) => steps.flatMap(({ name }) => name ?? [])))];
}

/** What happens next: anything that can, and every fourth time it dies of it. `number` gives a new disk its name. */
export function nextOperation(random: Random, model: Model, number: number): Operation {
  if (model.disks.size < FEWEST_DISKS) return drawn(random, model, `d${number}`, 'create');
  if (model.isUnsettled && random.isOnce(MENDED_PERCENT)) return killedPerhaps(random, { verb: 'scan' }, model);
  const cut = model.all().find(({ uses }) => [...uses.values()].includes('cut'));
  if (cut !== undefined && random.isOnce(MENDED_PERCENT)) return mending(random, cut);
  for (let draw = 0; draw < DRAWS; draw += 1) {
    const operation = drawn(random, model, `d${number}`);
    if (isPossible(operation, model)) return killedPerhaps(random, operation, model);
  }
  return { verb: 'scan' };
}

/** As xapi does where a call for a disk failed: it lets go of it, or tries again. */
function mending(random: Random, { name: disk, uses }: Disk): Operation {
  const host = [...uses].find(([, use]) => use === 'cut')?.[0] ?? 0;
  return { verb: random.isOnce(50) ? 'detach' : 'attach', disk, host };
}

function drawn(random: Random, model: Model, fresh: string, verb = drawnVerb(random)): Operation {
  const some = random.oneOf(model.all());
  return { verb, ...DETAILS[verb]({ random, model, fresh, some, disk: some?.name ?? fresh }) };
}

interface Draw {
  readonly random: Random;
  readonly model: Model;
  readonly fresh: string;
  readonly some: Disk | undefined;
  /** Its name. */
  readonly disk: string;
}

const ofSome = ({ disk }: Draw): Partial<Operation> => ({ disk });
const copying = ({ model, fresh, disk }: Draw): Partial<Operation> =>
  model.disks.size >= MOST_DISKS ? { verb: 'collect' } : { disk: fresh, of: disk };

/** What else is drawn for an operation; it may become another one. */
const DETAILS: Readonly<Record<Verb, (draw: Draw) => Partial<Operation>>> = {
  create: ({ random, model, fresh }) =>
    model.disks.size >= MOST_DISKS
      ? { verb: 'scan' }
      : { disk: fresh, mib: 1 + random.below(LARGEST_MIB / 2), ...(random.isOnce(RAW_PERCENT) ? { raw: 1 } : {}) },
  snapshot: copying,
  clone: copying,
  delete: ofSome,
  'delete-base': ofSome,
  resize: ({ random, disk, some }) => ({
    disk,
    mib: Math.min(LARGEST_MIB, (some?.content.length ?? 0) / MiB + 1 + random.below(4)),
  }),
  attach: ({ random, disk }) => ({ disk, host: random.below(HOSTS) }),
  detach: ({ some, disk }) => ({ disk, host: [...(some?.uses.keys() ?? [])][0] ?? 0 }),
  move: ofSome,
  write: ({ random, model }) => placeIn(random, random.oneOf(model.all().filter((one) => writers(one).length > 0))),
  scan: () => ({}),
  replug: ({ random }) => ({ host: random.below(HOSTS) }),
  reboot: ({ random }) => ({ host: random.below(HOSTS) }),
  collect: () => ({}),
};

function drawnVerb(random: Random): Verb {
  const all = Object.entries(WEIGHTS) as readonly (readonly [Verb, number])[];
  let left = random.below(all.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [verb, weight] of all) {
    left -= weight;
    if (left < 0) return verb;
  }
  return 'scan';
}

/** A few sectors, a part of a block, or more than one block. */
function placeIn(random: Random, disk: Disk | undefined): Partial<Operation> {
  if (disk === undefined) return {};
  const all = disk.content.length / SECTOR;
  const most = random.oneOf([8, 512, 6000]) ?? 1;
  const sectors = 1 + random.below(Math.min(most, all));
  return { disk: disk.name, at: random.below(all - sectors + 1), sectors, seed: random.below(1_000_000) };
}

function killedPerhaps(random: Random, operation: Operation, model: Model): Operation {
  const point = random.oneOf(pointsOf(walksOf(random, operation, model)));
  // What the bytes of a new raw disk are nobody says: one that may have been made is not known again.
  if (point === undefined || operation.raw !== undefined || !random.isOnce(KILLED_PERCENT)) return operation;
  const isLater = REPEATED.test(point) && random.isOnce(LATER_PASS_PERCENT);
  return { ...operation, kill: isLater ? `${point}:2` : point };
}

function walksOf(random: Random, { verb, of }: Operation, model: Model): readonly string[] {
  // Else there is nothing to mend, at which it could die.
  if (verb === 'scan' && !model.isUnsettled) return [];
  const source = model.disk(of);
  const isInUse = source === undefined ? random.isOnce(50) : source.uses.size > 0;
  return (isInUse ? WALKS_IN_USE[verb] : undefined) ?? WALKS[verb] ?? [];
}
