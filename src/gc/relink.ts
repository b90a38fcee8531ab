import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { nowMs } from '../base/now.ts';
import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import { undo } from '../base/undo.ts';
import { removeJournal } from '../lvhd/journal/journals.ts';
import type { VdiNode } from '../lvhd/lv-table.ts';
import { openVhd } from '../lvhd/open-vhd.ts';
import { dmName } from '../lvm/dm-name.ts';
import { runSteps } from '../system/running-steps.ts';
import { type ParentChange, type Piece, planParentChange, writePieces } from '../vhd/image/change-parent.ts';
import type { NewParent } from '../vhd/image/create-child.ts';
import type { Forest } from './forest.ts';
import { type Pair, pairNow } from './pair.ts';
import type { CollectorWorld } from './world.ts';

/** The relinking of what hangs on one node, under one lock of the SR. */
interface Relinking {
  readonly world: CollectorWorld;
  readonly forest: Forest;
  readonly pair: Pair;
  /** The disks below it. */
  readonly leaves: readonly VdiUuid[];
  /** How long it has been waited for a disk that is about to come into use. */
  readonly waitedMs: number;
  /** Whether a disk is about to come into use: then nothing happens. */
  isEarly: boolean;
  /** From before the first host is told to go on. */
  isOver: boolean;
}

/** A disk that a host is about to use is waited for so long, without the lock. */
const PATIENCE_MS = 20_000;
const RETRY_MS = 1000;

/**
 * Lets the children of a node with a `relink` journal hang on its parent, which has all that it has. Guests of disks
 * below wait meanwhile; whoever has the node active lets it go before the journal does. False where a disk is about to
 * come into use. 'lock-busy' where a host does not answer: the node stays as it is, and usable.
 */
export async function relinkChildren(world: CollectorWorld, node: VdiUuid): Promise<boolean> {
  // Every host that has the SR answers to that: no guest waits for what one of them would put off.
  await world.othersRest(node);
  const started = nowMs();
  while (!(await isReleased(world, node)) && !(await linkUnderLock(world, node, nowMs() - started))) {
    if (nowMs() - started > PATIENCE_MS) return false;
    await sleep(RETRY_MS);
  }
  await runSteps(relinkEndSteps, { world, node });
  return true;
}

/** Where a run was killed when all was linked: guests need not wait again, unless one has the node open still. */
async function isReleased(world: CollectorWorld, node: VdiUuid): Promise<boolean> {
  const isLinked = await world.locked(async ({ forest }) => {
    mustBeNoted(forest, node);
    return forest.links.children(node).length === 0;
  });
  if (!isLinked) return false;
  try {
    await world.releasedEverywhere(node);
    return true;
  } catch (error) {
    if (hasCode(error, 'lock-busy')) return false;
    throw error;
  }
}

async function linkUnderLock(world: CollectorWorld, node: VdiUuid, waitedMs: number): Promise<boolean> {
  return world.locked(async ({ forest }) => {
    const pair = pairNow(forest, node, mustBeNoted(forest, node));
    // Of the parent: a child that another run has relinked may be in use by a data path that has the node open.
    const relinking: Relinking = {
      world,
      forest,
      pair,
      leaves: leavesBelow(forest, pair.into.uuid),
      waitedMs,
      isEarly: false,
      isOver: false,
    };
    try {
      await runSteps(relinkSteps, relinking);
    } catch (error) {
      await undo(error, {
        // Every host was told so already where that is what has failed.
        ...(relinking.isOver ? {} : { 'the pause of the disks below': () => world.goOn(relinking.leaves) }),
        'what keeps them from use': () => world.letGo(relinking.leaves),
      });
    }
    return !relinking.isEarly;
  });
}

/** Answers the parent. */
function mustBeNoted(forest: Forest, node: VdiUuid): VdiUuid {
  const into = forest.links.find(node)?.parentUuid;
  if (into !== undefined && forest.hasJournal(node, 'relink')) return into;
  throw new RbdsrError('vdi-unavailable', { what: `the children of VDI ${node} are not to be relinked any more` });
}

const goesOn: Mending = { by: ['again'], says: 'the next collection goes on' };
const resumed: Mending = {
  by: ['sr_scan', 'again'],
  says: 'sr_scan, and the next collection, have guests go on; the latter goes on itself',
};

export const relinkSteps: readonly Step<Relinking>[] = [
  step('relink.held', holdBack, {
    does: 'disks below are kept from coming into use, `relinking` in VDI.sm_config; those that are in use are paused on every host',
    leaves: { id: 'relink-held', says: 'the journal, those keys, `paused`, and guests that wait' },
    mendedBy: resumed,
  }),
  step('relink.children-linked', linkChildren, {
    does: 'each child, as below',
    leaves: { id: 'linked-paused', says: 'the same, and a node on which nothing hangs' },
    mendedBy: resumed,
    when: isDue,
  }),
  step('relink.gone-on', goOn, {
    does: 'disks that wait go on, on every host, with their new chains; `paused` goes',
    leaves: { id: 'linked-held', says: 'the journal, keys `relinking`, and a node on which nothing hangs' },
    mendedBy: goesOn,
    when: isDue,
  }),
  step('relink.let-go', ({ world, leaves }) => world.letGo(leaves), {
    does: 'the keys `relinking` go',
    leaves: { id: 'children-linked', says: 'the journal, and a node on which nothing hangs' },
    mendedBy: goesOn,
    when: isDue,
  }),
];

function isDue({ isEarly }: Relinking): boolean {
  return !isEarly;
}

async function goOn(relinking: Relinking): Promise<void> {
  relinking.isOver = true;
  await relinking.world.goOn(relinking.leaves);
}

/** What follows, with the lock for each of its own. */
interface RelinkEnd {
  readonly world: CollectorWorld;
  readonly node: VdiUuid;
}

export const relinkEndSteps: readonly Step<RelinkEnd>[] = [
  step('relink.recorded', recordParents, {
    does: "`vhd-parent` in the children's VDI.sm_config",
    leaves: { id: 'children-linked', says: 'the same' },
    mendedBy: goesOn,
  }),
  step('relink.released', ({ world, node }) => world.releasedEverywhere(node), {
    does: 'without the lock: every host that has the SR lets the volume of the node go, which nothing of it has open any more',
    leaves: { id: 'children-linked', says: 'the same, and a node that is active nowhere' },
    mendedBy: goesOn,
  }),
  lastStep(forgetRelinking, 'the journal is removed: the node is garbage'),
];

async function holdBack(relinking: Relinking): Promise<void> {
  const { world, leaves, waitedMs } = relinking;
  relinking.isEarly = !(await world.holdBack(leaves, waitedMs));
}

/** One child. */
interface Linking {
  readonly world: CollectorWorld;
  readonly child: VdiNode;
  readonly change: ParentChange;
}

export const linkSteps: readonly Step<Linking>[] = [
  step(
    'relink.narrowed',
    ({ world, child, change }) => write(world, child, ...(change.narrowed === undefined ? [] : [change.narrowed])),
    {
      does: 'where the child has no place for more names of a parent: its header lists one alone',
      leaves: { id: 'one-name', says: 'a child that hangs on the old parent, with one name of it' },
      mendedBy: goesOn,
      when: ({ change }) => change.narrowed !== undefined,
    },
  ),
  step('relink.names-written', ({ world, child, change }) => write(world, child, ...change.texts), {
    does: 'names of the new parent, where its header does not look for any',
    leaves: { id: 'names-beside', says: 'a child that hangs on the old parent' },
    mendedBy: goesOn,
  }),
  step('relink.header-written', ({ world, child, change }) => write(world, child, change.header), {
    does: 'its header, in one write, names the new parent, and where its names are',
    leaves: { id: 'one-child-linked', says: 'a child that hangs on the new parent' },
    mendedBy: goesOn,
  }),
];

async function linkChildren({ world, forest, pair }: Relinking): Promise<void> {
  const parent = await parentOf(world, pair);
  for (const child of forest.links.children(pair.node.uuid))
    await runSteps(linkSteps, { world, child, change: await planned(world, child, parent) });
}

async function parentOf({ lvm, openLv }: CollectorWorld, { into }: Pair): Promise<NewParent> {
  const name = dmName(lvm.vg, into.lvName);
  if (into.kind === 'aio') return { name, modified: 0 };
  const io = await openLv(into.lvName, 'read');
  try {
    return { name, modified: 0, uuid: (await openVhd(io, 'read')).footer.uuid };
  } finally {
    await io.close();
  }
}

async function planned({ openLv }: CollectorWorld, { lvName }: VdiNode, parent: NewParent): Promise<ParentChange> {
  const io = await openLv(lvName, 'read');
  try {
    return planParentChange(await openVhd(io, 'read'), parent);
  } finally {
    await io.close();
  }
}

async function write({ openLv }: CollectorWorld, { lvName }: VdiNode, ...pieces: readonly Piece[]): Promise<void> {
  const io = await openLv(lvName, 'write');
  try {
    await writePieces(io, pieces);
  } finally {
    await io.close();
  }
}

async function recordParents({ world, node }: RelinkEnd): Promise<void> {
  await world.locked(async ({ forest }) => {
    const into = mustBeNoted(forest, node);
    // With those that a run has linked which was killed before it came to this.
    for (const { uuid } of forest.links.children(into)) if (uuid !== node) await world.recordParent(uuid, into);
  });
}

async function forgetRelinking({ world, node }: RelinkEnd): Promise<void> {
  await world.locked(async ({ forest }) => {
    mustBeNoted(forest, node);
    const entry = forest.journalsOf(node).find(({ type }) => type === 'relink');
    if (entry !== undefined) await removeJournal(world.lvm, entry);
  });
}

/** Those that are no garbage: what a guest may use. */
function leavesBelow({ links }: Forest, node: VdiUuid): readonly VdiUuid[] {
  const leaves: VdiUuid[] = [];
  for (let level = links.children(node); level.length > 0; level = level.flatMap(({ uuid }) => links.children(uuid)))
    for (const one of level) if (!one.hidden) leaves.push(one.uuid);
  return leaves;
}
