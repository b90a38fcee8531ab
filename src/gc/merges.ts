import { formatBytes } from '../base/units.ts';
import { type DrivenVdi, isDriven, type VdiNode } from '../lvhd/lv-table.ts';
import type { Forest } from './forest.ts';
import { FOLDED_AT_ONCE_BYTES, type MergeRoom, roomByBase } from './room.ts';
import type { GcStep, NodeThatStays, RoomOf } from './step.ts';

/**
 * The merging of a node into its parent, where they are two that could be one (sm cleanup.py, `isCoalesceable` and
 * `isLeafCoalesceable`); undefined where not. Pure.
 */
export function planMerge(
  forest: Forest,
  node: VdiNode,
  garbage: ReadonlySet<VdiNode>,
  roomOf: RoomOf,
): GcStep | NodeThatStays | undefined {
  const into = node.parentUuid === undefined ? undefined : forest.links.find(node.parentUuid);
  if (into === undefined || !isDriven(node) || !isDriven(into)) return undefined;
  if (forest.hasJournal(node.uuid, 'relink')) return planRelink(forest, node, into);
  if (forest.links.children(into.uuid).length !== 1) return undefined;
  const why = `${node.lvName} is all that hangs on ${into.lvName}`;
  const pair = { node, into };
  if (node.hidden) return planInner(forest, pair, garbage, roomOf, why);
  return forest.links.children(node.uuid).length > 0 ? undefined : planLeaf(forest, pair, roomOf, why);
}

interface Pair {
  readonly node: DrivenVdi;
  readonly into: DrivenVdi;
}

function planRelink(forest: Forest, node: DrivenVdi, into: DrivenVdi): GcStep {
  const why = `${into.lvName} has all of its data already, and what hangs on it was being relinked`;
  return { kind: 'relink', node, into, why, usedOn: forest.hostsBelow(into.uuid) };
}

function planInner(
  forest: Forest,
  { node, into }: Pair,
  garbage: ReadonlySet<VdiNode>,
  roomOf: RoomOf,
  why: string,
): GcStep | NodeThatStays {
  const kept = whyKept(forest, node, into);
  if (kept !== undefined) return { kind: 'leave', node, why: kept };
  if (forest.links.children(node.uuid).some((child) => garbage.has(child)))
    return { kind: 'leave', node, why: 'garbage that hangs on it is deleted first' };
  const room = roomFor(forest, { node, into }, roomOf, ({ neededBytes }) => neededBytes);
  if ('kind' in room) return room;
  return { kind: 'coalesce', node, into, room, why, usedOn: forest.hostsBelow(node.uuid) };
}

/** While no host has it: a guest would write to it while it is merged. */
function planLeaf(forest: Forest, { node, into }: Pair, roomOf: RoomOf, why: string): GcStep | NodeThatStays {
  const kept = whyKept(forest, node, into) ?? forest.known.notFolded.get(node.uuid);
  if (kept !== undefined) return { kind: 'leave', node, why: kept };
  const hosts = forest.hostsBelow(node.uuid);
  if (hosts.length > 0)
    return {
      kind: 'leave',
      node,
      why: `a leaf is merged while no host has it, and it is in use on ${hosts.join(', ')}`,
    };
  if (node.open)
    return { kind: 'leave', node, why: 'a leaf is merged while no host has it, and it is open on this one' };
  if (node.virtualSizeBytes < into.virtualSizeBytes)
    return {
      kind: 'leave',
      node,
      why: `it is smaller than its parent ${into.lvName}, the rest of which it would show`,
    };
  const isLarge = ({ copiesBytes }: MergeRoom): boolean => copiesBytes > FOLDED_AT_ONCE_BYTES;
  const needs = (room: MergeRoom): number => (isLarge(room) ? roomByBase(node, room) : room.neededBytes);
  const room = roomFor(forest, { node, into }, roomOf, needs);
  if ('kind' in room) return room;
  return { kind: isLarge(room) ? 'leaf-base' : 'leaf-coalesce', node, into, room, why };
}

/** Or why the node stays. */
function roomFor(
  { known }: Forest,
  { node, into }: Pair,
  roomOf: RoomOf,
  needs: (room: MergeRoom) => number,
): MergeRoom | NodeThatStays {
  if (node.virtualSizeBytes > into.virtualSizeBytes && into.kind === 'aio')
    return { kind: 'leave', node, why: `it is larger than its raw parent ${into.lvName}` };
  const room = roomOf(node);
  if (room === undefined)
    return { kind: 'leave', node, why: `the block table of it or of ${into.lvName} cannot be read` };
  if (needs(room) <= known.freeBytes) return room;
  const needed = `merging it takes ${formatBytes(needs(room))}`;
  return { kind: 'leave', node, why: `${needed}, and ${formatBytes(known.freeBytes)} are free` };
}

function whyKept(forest: Forest, node: DrivenVdi, into: DrivenVdi): string | undefined {
  const { known } = forest;
  // What its parent has is in the parent's parent already, and would not come there again.
  if (forest.hasJournal(into.uuid, 'relink')) return `its parent ${into.lvName} is about to go`;
  return (
    known.kept.get(node.uuid) ??
    known.kept.get(into.uuid) ??
    (into.hidden ? undefined : `its parent ${into.lvName} is a disk of its own`)
  );
}
