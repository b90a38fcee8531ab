import { listJournals } from '../lvhd/journal/journal.ts';
import { isDriven, type VdiNode } from '../lvhd/lv-table.ts';
import type { VdiTree } from '../lvhd/tree.ts';
import type { VgReport } from '../lvm/report.ts';
import type { VdiRecord } from '../xapi/vdi.ts';
import { whyNotFolded } from './disk/not-folded.ts';
import { activeHosts } from './hosts/host-keys.ts';

/**
 * Whether a collector may find something to do, which alone says what: a merge that was begun, garbage, a hidden node
 * that is all that hangs on another, or such a leaf that no host has. `records` are xapi's. Pure.
 */
export function isCollectable(tree: VdiTree, report: VgReport, records: readonly VdiRecord[]): boolean {
  const isFree = leavesThatMayBeMerged(records);
  return (
    listJournals(report).some(({ type }) => type === 'coalesce' || type === 'relink') ||
    tree.nodes.some(
      (node) =>
        isDriven(node) &&
        (node.hidden ? isBare(tree, node) || isAlone(tree, node) : isFree(node) && isAlone(tree, node)),
    )
  );
}

function leavesThatMayBeMerged(records: readonly VdiRecord[]): (node: VdiNode) => boolean {
  const kept = new Set<string>();
  for (const record of records)
    if (activeHosts(record.smConfig).length > 0 || whyNotFolded(record) !== undefined) kept.add(record.uuid);
  return ({ uuid }) => !kept.has(uuid);
}

function isBare(tree: VdiTree, { uuid }: VdiNode): boolean {
  return tree.children(uuid).length === 0;
}

function isAlone(tree: VdiTree, { parentUuid }: VdiNode): boolean {
  const parent = parentUuid === undefined ? undefined : tree.find(parentUuid);
  return parent?.hidden === true && tree.children(parent.uuid).length === 1;
}
