import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { type DrivenVdi, isDriven, type VdiNode } from '../lvhd/lv-table.ts';
import type { Forest } from './forest.ts';
import { planCollection } from './plan.ts';
import { NO_ROOM } from './room.ts';
import { whyTreeStays } from './untouchable.ts';

/** A hidden node, and the parent that gets its contents. */
export interface Pair {
  readonly node: DrivenVdi;
  readonly into: DrivenVdi;
}

/**
 * The two as they are now, by their uuids, volumes and link: while the SR was not locked each of them may have become
 * another. 'vdi-unavailable' where the one is not the other's hidden child any more, or its only one.
 */
export function pairNow(forest: Forest, node: VdiUuid, into: VdiUuid): Pair {
  const [child, parent] = [forest.links.find(node), forest.links.find(into)];
  const isPair = child?.parentUuid === into && child.hidden && parent !== undefined && parent.hidden;
  if (!isPair || !isDriven(child) || !isDriven(parent)) throw changed(node, into, 'another link');
  const tree = forest.trees.find(({ nodes }) => nodes.includes(child));
  const stays = tree === undefined ? 'a circle' : whyTreeStays(forest, tree);
  if (stays !== undefined) throw changed(node, into, stays);
  return { node: child, into: parent };
}

/** The same where nothing else hangs on the parent: whatever it gets is seen by the children of the node alone. */
export function onlyPairNow(forest: Forest, node: VdiUuid, into: VdiUuid): Pair {
  const pair = pairNow(forest, node, into);
  const others = forest.links.children(into).filter(({ uuid }) => uuid !== node);
  if (others.length > 0) throw changed(node, into, `${others.map(nameOf).join(', ')} beside it`);
  if (forest.hasJournal(into, 'relink')) throw changed(node, into, `a parent that is about to go`);
  return pair;
}

/**
 * A leaf that no host has, and the hidden parent on which nothing else hangs, as they are now. 'vdi-unavailable' where
 * they are no such two any more.
 */
export function leafPairNow(forest: Forest, leaf: VdiUuid, into: VdiUuid): Pair {
  const { steps } = planCollection(forest, () => NO_ROOM);
  const found = steps.find(({ kind, node }) => kind === 'leaf-coalesce' && node.uuid === leaf);
  if (found?.kind === 'leaf-coalesce' && found.into.uuid === into) return found;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${leaf} is not to be merged into ${into} any more`,
    expected: 'a leaf in use nowhere that is all that hangs on a hidden parent',
  });
}

function nameOf({ lvName }: VdiNode): string {
  return lvName;
}

function changed(node: VdiUuid, into: VdiUuid, found: string): RbdsrError {
  return new RbdsrError('vdi-unavailable', {
    what: `VDI ${node} is not to be merged into ${into} any more`,
    expected: 'a hidden node that is all that hangs on a hidden parent',
    found,
  });
}
