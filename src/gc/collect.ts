import { hasCode, messageOf, RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { deleteNode, deleteSetAside } from './delete-node.ts';
import { foldLeaf } from './fold-leaf.ts';
import type { Forest } from './forest.ts';
import { mergeInner } from './merge-inner.ts';
import { roomOfPair } from './pair-room.ts';
import { planCollection } from './plan.ts';
import { planInWords } from './plan-in-words.ts';
import { relinkChildren } from './relink.ts';
import { type MergeRoom, NO_ROOM } from './room.ts';
import type { GcPlan, GcStep } from './step.ts';
import type { CollectorWorld } from './world.ts';

/** What a collection has done, and what it has not. */
export interface Collection {
  readonly done: readonly string[];
  /** What it has tried in vain, and why. */
  readonly failed: readonly string[];
  /** The plan that is left. */
  readonly left: GcPlan;
}

/**
 * One step after the other, and after each the plan anew, until nothing is left to do. What has failed is not tried
 * again. `tells` gets a line before each step.
 */
export async function collect(world: CollectorWorld, tells: (line: string) => void): Promise<Collection> {
  const done: string[] = [];
  const failed: string[] = [];
  const tried = new Set<string>();
  for (;;) {
    const plan = await planNow(world);
    const next = plan.steps.find((step) => !tried.has(idOf(step)));
    if (next === undefined) return { done, failed, left: plan };
    tried.add(idOf(next));
    const [words = ''] = planInWords({ steps: [next], left: [] });
    tells(words);
    try {
      if (await perform(world, next)) done.push(words);
      else failed.push(`${words}: a disk is about to come into use`);
    } catch (error) {
      if (!(await world.mayWrite())) throw error;
      failed.push(`${words}: ${messageOf(error)}`);
    }
  }
}

function idOf({ kind, node }: GcStep): string {
  return `${kind} ${node.uuid}`;
}

/** What there is to do, with the room of each merge as the block tables say. */
export function planNow(world: CollectorWorld): Promise<GcPlan> {
  return world.locked(async ({ forest }) => {
    const rooms = await roomsOf(world, forest);
    return planCollection(forest, ({ uuid }) => rooms.get(uuid));
  });
}

async function roomsOf(
  world: CollectorWorld,
  forest: Forest,
  only?: VdiUuid,
): Promise<ReadonlyMap<VdiUuid, MergeRoom>> {
  const rooms = new Map<VdiUuid, MergeRoom>();
  for (const step of planCollection(forest, () => NO_ROOM).steps) {
    if (!('room' in step) || (only !== undefined && only !== step.node.uuid)) continue;
    try {
      rooms.set(step.node.uuid, await roomOfPair(world, step));
    } catch (error) {
      // One that cannot be read keeps no other from being merged: the plan says that it stays.
      if (!hasCode(error, 'vhd-corrupt', 'io')) throw error;
    }
  }
  return rooms;
}

/** False where a disk is about to come into use. */
async function perform(world: CollectorWorld, step: GcStep): Promise<boolean> {
  const { uuid } = step.node;
  switch (step.kind) {
    case 'delete':
      await deleteNode(world, uuid);
      return true;
    case 'delete-aside':
      await deleteSetAside(world, uuid);
      return true;
    case 'relink':
      mustHoldBack(world, uuid);
      return relinkChildren(world, uuid);
    case 'coalesce':
      mustHoldBack(world, uuid);
      await mergeInner(world, uuid, step.into.uuid);
      return relinkChildren(world, uuid);
    case 'leaf-base':
      // What becomes a base is merged as an inner node.
      mustHoldBack(world, uuid);
      return makeBase(world, uuid);
    case 'leaf-coalesce':
      return foldLeaf(world, uuid, step.into.uuid);
    default:
      return step satisfies never;
  }
}

/** With an empty leaf on it, which is merged when the base is. False where a host has come to use the disk. */
async function makeBase(world: CollectorWorld, leaf: VdiUuid): Promise<boolean> {
  return world.locked(async (found) => {
    // Of no other: everybody waits for the lock.
    const rooms = await roomsOf(world, found.forest, leaf);
    const { steps } = planCollection(found.forest, ({ uuid }) => rooms.get(uuid));
    if (!steps.some(({ kind, node }) => kind === 'leaf-base' && node.uuid === leaf)) return false;
    await world.makeBase(leaf, found);
    return true;
  });
}

/** Before anything is copied: what could not be relinked would only take room. */
function mustHoldBack({ canHoldBack }: CollectorWorld, node: VdiUuid): void {
  if (canHoldBack) return;
  throw new RbdsrError('unimplemented', {
    what: `VDI ${node} is not merged: the hosts of this version know no key that keeps a disk from coming into use meanwhile`,
    expected: 'XCP-ng 8.3, XenServer 8 or later',
    todo: 'What is garbage is removed all the same.',
  });
}
