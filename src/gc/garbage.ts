import { isDriven, type VdiNode } from '../lvhd/lv-table.ts';
import type { Forest } from './forest.ts';

/**
 * A hidden node on which nothing hangs but `garbage`, where the nodes below it were looked at first. One whose children
 * are being relinked is needed until its journal is gone. Pure.
 */
export function isGarbage(forest: Forest, node: VdiNode, garbage: ReadonlySet<VdiNode>): boolean {
  return (
    node.hidden &&
    isDriven(node) &&
    node.scanError === undefined &&
    !forest.hasJournal(node.uuid, 'relink') &&
    forest.links.children(node.uuid).every((child) => garbage.has(child))
  );
}
