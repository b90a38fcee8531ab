import { listJournals } from '../lvhd/journal/journal.ts';
import { isDriven, type VdiNode } from '../lvhd/lv-table.ts';
import type { VdiTree } from '../lvhd/tree.ts';
import type { VgReport } from '../lvm/report.ts';

/**
 * Whether a collector may find something to do, which alone says what: a merge that was begun, garbage, or a hidden
 * node that is all that hangs on another. Pure.
 */
export function isCollectable(tree: VdiTree, report: VgReport): boolean {
  return (
    listJournals(report).some(({ type }) => type === 'coalesce' || type === 'relink') ||
    tree.nodes.some((node) => node.hidden && isDriven(node) && (isBare(tree, node) || isAlone(tree, node)))
  );
}

function isBare(tree: VdiTree, { uuid }: VdiNode): boolean {
  return tree.children(uuid).length === 0;
}

function isAlone(tree: VdiTree, { parentUuid }: VdiNode): boolean {
  const parent = parentUuid === undefined ? undefined : tree.find(parentUuid);
  return parent?.hidden === true && tree.children(parent.uuid).length === 1;
}
