import { kindOf } from '../lvhd/journal/kinds.ts';
import type { DiskTree, Forest } from './forest.ts';

/** Why nothing in a whole tree may be changed; undefined where something may. Pure. */
export function whyTreeStays(forest: Forest, tree: DiskTree): string | undefined {
  return whyNothingMay(forest) ?? brokenChain(forest, tree) ?? interrupted(forest, tree) ?? setAside(forest, tree);
}

/** Of a disk that nobody can place every other may be the parent: that a merge changes, or a deletion takes away. */
function whyNothingMay({ unplaced }: Forest): string | undefined {
  const [first, ...others] = unplaced;
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return first.kind === 'foreign'
    ? `a disk of another format may hang on it: ${first.lvName}${more}`
    : `a disk that cannot be read may hang on it: ${first.lvName}${more}`;
}

function brokenChain({ links }: Forest, { root }: DiskTree): string | undefined {
  if (root.parentUuid === undefined || links.find(root.parentUuid) !== undefined) return undefined;
  return `the parent of ${root.lvName} is not there: ${root.parentLvName ?? root.parentUuid}`;
}

/** What other operations have left is theirs to mend, and they believe the tree to be as they left it. */
function interrupted(forest: Forest, { nodes }: DiskTree): string | undefined {
  for (const { uuid } of nodes) {
    const entry = forest.journalsOf(uuid).find(({ type }) => !OURS.includes(type));
    if (entry !== undefined) return `${kindOf(entry).operation} of ${uuid} was interrupted (${entry.lvName})`;
  }
  return undefined;
}

const OURS: readonly string[] = ['coalesce', 'relink'];

function setAside({ known }: Forest, { nodes }: DiskTree): string | undefined {
  const uuids = new Set<string>(nodes.map(({ uuid }) => uuid));
  const old = known.nodes.find((node) => node.old && (uuids.has(node.uuid) || uuids.has(node.parentUuid ?? '')));
  return old === undefined ? undefined : `a leaf is being merged: ${old.lvName}`;
}
