import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { settled } from '../base/settle.ts';
import type { VdiUuid } from '../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import { createJournal, removeJournal } from '../lvhd/journal/journals.ts';
import { openVhd } from '../lvhd/open-vhd.ts';
import { deflate, inflate } from '../lvhd/ops/inflate.ts';
import { runSteps } from '../system/running-steps.ts';
import { mergeIntoParent } from '../vhd/chain/merge.ts';
import { onlyPairNow } from './pair.ts';
import { roomOfPair } from './pair-room.ts';
import type { CollectorWorld } from './world.ts';

/** The merging of one node into its parent. */
interface Merging {
  readonly world: CollectorWorld;
  readonly node: VdiUuid;
  readonly into: VdiUuid;
  /** Bytes of the parent's data and footer, once it has all. */
  physicalSizeBytes?: number;
}

/**
 * Copies what a hidden node has into its parent, on which nothing else hangs, until a `relink` journal says that the
 * parent has it all (relink.ts goes on). Each step finds both anew; the copying holds no lock of the SR. Every disk
 * reads as it did at any moment, for what is copied shows through the node only where the node has the same.
 * 'vdi-unavailable' where the two are not such a pair any more, or where this host may not write any more.
 */
export async function mergeInner(world: CollectorWorld, node: VdiUuid, into: VdiUuid): Promise<void> {
  await runSteps(mergeSteps, { world, node, into });
}

const begunAnew: Mending = { by: ['again'], says: 'the next collection begins it anew' };

export const mergeSteps: readonly Step<Merging>[] = [
  step('coalesce.noted', note, {
    does: 'journal LV `coalesce_<node>_1`',
    leaves: { id: 'merge-noted', says: 'the journal; nothing else has changed' },
    mendedBy: begunAnew,
  }),
  step('coalesce.grown', growParent, {
    does: "the parent's volume grows by what it lacks, as above, with a journal of its own",
    leaves: { id: 'parent-grown', says: 'the journal, and a parent with more room than it uses' },
    mendedBy: begunAnew,
  }),
  step('coalesce.copied', copy, {
    does: 'without the lock: what the node has is written into the parent',
    leaves: { id: 'copied', says: 'the same; the parent has what the node has' },
    mendedBy: begunAnew,
  }),
  step('coalesce.shrunk', shrinkParent, {
    does: "the parent's volume gives back what it does not use, as above",
    leaves: { id: 'copied-shrunk', says: 'the journal; the parent has what the node has' },
    mendedBy: begunAnew,
  }),
  step('coalesce.relink-noted', noteRelinking, {
    does: 'journal LV `relink_<node>_1`',
    leaves: { id: 'both-noted', says: 'both journals' },
    mendedBy: { by: ['again'], says: 'the next collection goes on' },
  }),
  lastStep(forgetMerging, 'the first journal is removed'),
];

async function note({ world, node, into }: Merging): Promise<void> {
  // Also where no journal says so: that of a leaf that was being merged into the same parent goes when it is undone.
  await world.othersRest(node);
  await world.locked(async ({ report, forest }) => {
    onlyPairNow(forest, node, into);
    if (forest.hasJournal(node, 'coalesce')) return;
    await createJournal(world.lvm, report, world.openLv, { type: 'coalesce', id: node, value: '1' });
  });
}

async function growParent({ world, node, into }: Merging): Promise<void> {
  await world.locked(async ({ report, forest }) => {
    const pair = onlyPairNow(forest, node, into);
    mustBeNoted(forest.hasJournal(node, 'coalesce'), node);
    const { growsByBytes, parentLvSizeBytes } = await roomOfPair(world, pair);
    if (growsByBytes === 0) return;
    await inflate(world, report, into, parentLvSizeBytes);
    await world.refreshBelow(into);
  });
}

async function copy(merging: Merging): Promise<void> {
  const { world, node, into } = merging;
  const ios: BlockIo[] = [];
  try {
    const kind = await world.locked(async ({ forest }) => {
      const pair = onlyPairNow(forest, node, into);
      mustBeNoted(forest.hasJournal(node, 'coalesce'), node);
      ios.push(await world.openLv(pair.node.lvName, 'read'), await world.openLv(pair.into.lvName, 'write'));
      return pair.into.kind;
    });
    const [childIo, parentIo] = ios;
    if (childIo === undefined || parentIo === undefined) return;
    const child = await openVhd(childIo, 'read');
    const options = {
      goesOn: () => world.mayWrite(node),
      ...(world.progress === undefined ? {} : { progress: world.progress }),
    };
    if (kind === 'aio') {
      const raw = { io: parentIo, virtualSizeBytes: parentIo.size };
      mustBeWhole(await mergeIntoParent(child, raw, options), node);
      return;
    }
    const parent = await openVhd(parentIo, 'write');
    mustBeWhole(await mergeIntoParent(child, parent, options), node);
    merging.physicalSizeBytes = parent.physicalSizeBytes;
    // Closes its io as well, which is closed once more below: that does nothing.
    await parent.close();
  } finally {
    await settled(ios.map((io) => io.close()));
  }
}

async function shrinkParent({ world, node, into, physicalSizeBytes }: Merging): Promise<void> {
  if (physicalSizeBytes === undefined) return;
  await world.locked(async ({ report, forest }) => {
    onlyPairNow(forest, node, into);
    mustBeNoted(forest.hasJournal(node, 'coalesce'), node);
    await deflate(world, report, into, physicalSizeBytes);
    // Also what a run that was killed has shrunk: a table that is too long ends in extents of another disk.
    await world.refreshBelow(into);
  });
}

async function noteRelinking({ world, node, into }: Merging): Promise<void> {
  await world.locked(async ({ report, forest }) => {
    onlyPairNow(forest, node, into);
    mustBeNoted(forest.hasJournal(node, 'coalesce'), node);
    await createJournal(world.lvm, report, world.openLv, { type: 'relink', id: node, value: '1' });
  });
}

async function forgetMerging({ world, node }: Merging): Promise<void> {
  await world.locked(async ({ forest }) => {
    const entry = forest.journalsOf(node).find(({ type }) => type === 'coalesce');
    if (entry !== undefined) await removeJournal(world.lvm, entry);
  });
}

/** Whoever has removed the journal has taken the node for one that nobody merges, and may have changed it since. */
function mustBeNoted(isNoted: boolean, node: VdiUuid): void {
  if (isNoted) return;
  throw new RbdsrError('vdi-unavailable', { what: `the journal of the merging of VDI ${node} has gone meanwhile` });
}

function mustBeWhole(isWhole: boolean, node: VdiUuid): void {
  if (isWhole) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `the merging of VDI ${node} has stopped`,
    expected: 'this host to be the master of the pool, with the SR plugged',
    todo: 'The next collection begins it anew.',
  });
}
