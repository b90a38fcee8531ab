import { isDriven, type VdiNode } from '../lvhd/lv-table.ts';
import type { Forest } from './forest.ts';
import type { GcStep, NodeThatStays } from './step.ts';

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

/**
 * A leaf that stock's collector has set aside (sm `cleanup.py`, `TMP_RENAME_PREFIX`): garbage once it is hidden and no
 * journal is left of it, for stock removes the journal when the disk is whole without it. Pure.
 */
export function planSetAside(forest: Forest, node: VdiNode): GcStep | NodeThatStays | undefined {
  const disk = forest.links.find(node.uuid);
  const isDone = node.hidden && isDriven(node) && forest.journalsOf(node.uuid).length === 0;
  if (!isDone || disk === undefined || disk.hidden || disk.scanError !== undefined) return undefined;
  const hosts = forest.hostsBelow(node.uuid);
  if (hosts.length > 0)
    return { kind: 'leave', node, why: `${disk.lvName} is whole without it, but in use on ${hosts.join(', ')}` };
  if (node.open) return { kind: 'leave', node, why: 'it is garbage, but open on this host' };
  return { kind: 'delete-aside', node, why: `a merge has set it aside, and ${disk.lvName} is whole without it` };
}
