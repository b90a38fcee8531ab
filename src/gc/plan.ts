import type { VdiNode } from '../lvhd/lv-table.ts';
import type { Forest } from './forest.ts';
import { isGarbage, planSetAside } from './garbage.ts';
import { planMerge } from './merges.ts';
import type { GcPlan, GcStep, NodeThatStays, RoomOf } from './step.ts';
import { whyTreeStays } from './untouchable.ts';

/**
 * What is to be done in an SR: what an interrupted run has begun first, then what frees room, then merges from the
 * tallest tree down (sm cleanup.py). Pure.
 */
export function planCollection(forest: Forest, roomOf: RoomOf): GcPlan {
  const steps: GcStep[] = [];
  const left: NodeThatStays[] = [];
  for (const tree of forest.trees.toSorted((a, b) => b.height - a.height)) {
    const stays = whyTreeStays(forest, tree);
    const garbage = new Set<VdiNode>();
    for (const node of tree.nodes.toReversed()) if (isGarbage(forest, node, garbage)) garbage.add(node);
    const staying = new Set<VdiNode>();
    for (const node of tree.nodes.toReversed()) {
      const isDeleted = garbage.has(node);
      const plan = isDeleted ? planDeletion(forest, node, staying) : planMerge(forest, node, garbage, roomOf);
      if (plan === undefined) continue;
      if (isDeleted && plan.kind === 'leave') staying.add(node);
      if (stays !== undefined) left.push({ kind: 'leave', node, why: stays });
      else if (plan.kind !== 'leave') steps.push(plan);
      else left.push(plan);
    }
  }
  for (const node of forest.known.nodes.filter(({ old }) => old)) {
    const plan = planSetAside(forest, node);
    if (plan?.kind === 'leave') left.push(plan);
    else if (plan !== undefined) steps.push(plan);
  }
  for (const node of forest.circles) left.push({ kind: 'leave', node, why: 'its chain comes back to itself' });
  return { steps: steps.toSorted((a, b) => ORDER[a.kind] - ORDER[b.kind]), left };
}

const ORDER: Readonly<Record<GcStep['kind'], number>> = {
  relink: 0,
  'delete-aside': 1,
  delete: 1,
  coalesce: 2,
  'leaf-base': 3,
  'leaf-coalesce': 3,
};

function planDeletion(forest: Forest, node: VdiNode, staying: ReadonlySet<VdiNode>): GcStep | NodeThatStays {
  const hosts = forest.hostsBelow(node.uuid);
  if (hosts.length > 0) return { kind: 'leave', node, why: `it is garbage, but in use on ${hosts.join(', ')}` };
  if (node.open) return { kind: 'leave', node, why: 'it is garbage, but open on this host' };
  const children = forest.links.children(node.uuid);
  const held = children.find((child) => staying.has(child));
  if (held !== undefined) return { kind: 'leave', node, why: `it is garbage, but ${held.lvName} stays` };
  return {
    kind: 'delete',
    node,
    why:
      children.length === 0
        ? 'it is hidden, and nothing hangs on it'
        : 'it is hidden, and all that hangs on it is garbage',
  };
}
