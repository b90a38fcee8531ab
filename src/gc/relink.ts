import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import { removeJournal } from '../lvhd/journal/journals.ts';
import type { VdiNode } from '../lvhd/lv-table.ts';
import { openVhd } from '../lvhd/open-vhd.ts';
import { dmName } from '../lvm/dm-name.ts';
import { runSteps } from '../system/running-steps.ts';
import { type ParentChange, planParentChange, writePieces } from '../vhd/image/change-parent.ts';
import type { NewParent } from '../vhd/image/create-child.ts';
import type { Forest } from './forest.ts';
import { type Pair, pairNow } from './pair.ts';
import type { CollectorWorld } from './world.ts';

/** The relinking of what hangs on one node. */
interface Relinking {
  readonly world: CollectorWorld;
  readonly forest: Forest;
  readonly pair: Pair;
  /** The disks below it. */
  readonly leaves: readonly VdiUuid[];
}

/**
 * Lets the children of a node with a `relink` journal hang on its parent, which has all that it has. All of it under
 * one lock of the SR. False where a disk below either is in use: its data path may have the chain open as it was.
 */
export async function relinkChildren(world: CollectorWorld, node: VdiUuid): Promise<boolean> {
  return world.locked(async ({ forest }) => {
    const into = forest.links.find(node)?.parentUuid;
    if (into === undefined || !forest.hasJournal(node, 'relink')) {
      throw new RbdsrError('vdi-unavailable', { what: `the children of VDI ${node} are not to be relinked any more` });
    }
    const leaves = leavesBelow(forest, node);
    // Of the parent: a child that was relinked before may be in use by a data path that has opened the node.
    if (forest.hostsBelow(into).length > 0 || !(await world.holdBack(leaves))) return false;
    try {
      await runSteps(relinkSteps, { world, forest, pair: pairNow(forest, node, into), leaves });
    } catch (error) {
      await world.letGo(leaves);
      throw error;
    }
    return true;
  });
}

const goesOn: Mending = { by: ['again'], says: 'the next collection goes on' };

export const relinkSteps: readonly Step<Relinking>[] = [
  step('relink.children-linked', linkChildren, {
    does: 'disks below are kept from coming into use, `relinking` in VDI.sm_config; each child, as below',
    leaves: { id: 'children-linked', says: 'the journal, those keys, and a node on which nothing hangs' },
    mendedBy: goesOn,
  }),
  step('relink.recorded', recordParents, {
    does: "`vhd-parent` in the children's VDI.sm_config",
    leaves: { id: 'children-linked', says: 'the same' },
    mendedBy: goesOn,
  }),
  step('relink.let-go', letLeavesGo, {
    does: 'the keys `relinking` go',
    leaves: { id: 'children-linked', says: 'the journal, and a node on which nothing hangs' },
    mendedBy: goesOn,
  }),
  lastStep(forgetRelinking, 'the journal is removed: the node is garbage'),
];

/** One child. */
interface Linking {
  readonly world: CollectorWorld;
  readonly child: VdiNode;
  readonly parent: NewParent;
  change?: ParentChange;
}

export const linkSteps: readonly Step<Linking>[] = [
  step('relink.locators-written', writeLocators, {
    does: 'the locators of the child name the new parent',
    leaves: { id: 'locators-ahead', says: 'a child whose header names the old parent, and whose locators the new one' },
    mendedBy: goesOn,
  }),
  step('relink.header-written', writeHeader, {
    does: 'its header names the new parent',
    leaves: { id: 'one-child-linked', says: 'a child that hangs on the new parent' },
    mendedBy: goesOn,
  }),
];

async function linkChildren({ world, forest, pair }: Relinking): Promise<void> {
  const parent = await parentOf(world, pair);
  for (const child of forest.links.children(pair.node.uuid)) await runSteps(linkSteps, { world, child, parent });
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

async function writeLocators(linking: Linking): Promise<void> {
  const { world, child, parent } = linking;
  const io = await world.openLv(child.lvName, 'write');
  try {
    linking.change = planParentChange(await openVhd(io, 'read'), parent);
    await writePieces(io, linking.change.locators);
  } finally {
    await io.close();
  }
}

async function writeHeader({ world, child, change }: Linking): Promise<void> {
  if (change === undefined) return;
  const io = await world.openLv(child.lvName, 'write');
  try {
    await writePieces(io, [change.header]);
  } finally {
    await io.close();
  }
}

async function recordParents({ world, forest, pair }: Relinking): Promise<void> {
  const { node, into } = pair;
  // With those that a run has linked which was killed before it came to this.
  const linked = forest.links.children(into.uuid).filter(({ uuid }) => uuid !== node.uuid);
  for (const { uuid } of [...linked, ...forest.links.children(node.uuid)]) await world.recordParent(uuid, into.uuid);
}

async function letLeavesGo({ world, leaves }: Relinking): Promise<void> {
  await world.letGo(leaves);
}

async function forgetRelinking({ world, forest, pair }: Relinking): Promise<void> {
  const entry = forest.journalsOf(pair.node.uuid).find(({ type }) => type === 'relink');
  if (entry !== undefined) await removeJournal(world.lvm, entry);
}

/** Those that are no garbage: what a guest may use. */
function leavesBelow({ links }: Forest, node: VdiUuid): readonly VdiUuid[] {
  const leaves: VdiUuid[] = [];
  for (let level = links.children(node); level.length > 0; level = level.flatMap(({ uuid }) => links.children(uuid)))
    for (const one of level) if (!one.hidden) leaves.push(one.uuid);
  return leaves;
}
