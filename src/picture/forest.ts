import type { DiskNode } from './disks.ts';
import type { Picture, RecordedVdi } from './picture.ts';

/** A node in its chain, with what is known of it besides its volume. */
export interface ChainNode {
  readonly node: DiskNode;
  /** As xapi has it, or the metadata volume; absent where neither has a name. */
  readonly name?: string;
  readonly what: 'disk' | 'snapshot' | 'base copy' | 'hidden' | 'set aside' | 'foreign';
  /** Of the chain from here down to its root: 1 has no parent. */
  readonly depth: number;
  readonly children: readonly ChainNode[];
  readonly record?: RecordedVdi;
  /** The volume of its parent, which is not there. */
  readonly lostParent?: string;
}

/** The chains of an SR, each by its root, in order of their names. Pure. */
export function forestOf(picture: Picture): readonly ChainNode[] {
  const all = picture.disks?.nodes ?? [];
  const growing = new Growing(picture, all);
  const roots = all.filter((node) => !node.old && growing.parentOf(node) === undefined);
  const trees = roots.map((node) => growing.grow(node, 1));
  // A chain that comes back to itself has no root: it is drawn from one of its nodes on, once.
  for (const node of all) if (!node.old && !growing.has(node)) trees.push(growing.grow(node, 1));
  const aside = all.filter(({ old }) => old).map((node) => growing.grow(node, 1));
  return [...trees, ...aside].toSorted(byName);
}

/** Every node of them, each before its children. */
export function* nodesOf(forest: readonly ChainNode[]): Generator<ChainNode> {
  for (const chain of forest) {
    yield chain;
    yield* nodesOf(chain.children);
  }
}

class Growing {
  readonly #picture: Picture;
  readonly #byLv: ReadonlyMap<string, DiskNode>;
  readonly #children = new Map<string, DiskNode[]>();
  readonly #grown = new Set<DiskNode>();
  readonly #records: ReadonlyMap<string, RecordedVdi>;
  readonly #stored: ReadonlyMap<string, { readonly nameLabel: string; readonly isASnapshot: boolean }>;

  constructor(picture: Picture, all: readonly DiskNode[]) {
    this.#picture = picture;
    this.#byLv = new Map(all.map((node) => [node.lvName, node]));
    this.#records = new Map(picture.xapi?.vdis.map((vdi) => [vdi.uuid, vdi]));
    this.#stored = new Map(picture.disks?.metadata?.vdis.map((vdi) => [vdi.uuid, vdi]));
    for (const node of all) {
      const parent = node.old ? undefined : this.parentOf(node);
      if (parent === undefined) continue;
      const siblings = this.#children.get(parent.lvName);
      if (siblings === undefined) this.#children.set(parent.lvName, [node]);
      else siblings.push(node);
    }
  }

  parentOf({ parentLvName }: DiskNode): DiskNode | undefined {
    return parentLvName === undefined ? undefined : this.#byLv.get(parentLvName);
  }

  has(node: DiskNode): boolean {
    return this.#grown.has(node);
  }

  grow(node: DiskNode, depth: number): ChainNode {
    this.#grown.add(node);
    const below = (this.#children.get(node.lvName) ?? []).filter((child) => !this.has(child));
    const children = below.map((child) => this.grow(child, depth + 1)).toSorted(byName);
    const record = node.old ? undefined : this.#records.get(node.uuid);
    const stored = this.#stored.get(node.uuid);
    const name = record?.nameLabel ?? stored?.nameLabel;
    const isSnapshot = record?.isASnapshot ?? stored?.isASnapshot ?? false;
    const isLost = node.parentLvName !== undefined && this.parentOf(node) === undefined;
    return {
      node,
      ...(name === undefined || name === '' ? {} : { name }),
      what: whatIs(node, isSnapshot, children.length > 0),
      depth,
      children,
      ...(record === undefined ? {} : { record }),
      ...(isLost && this.#picture.disks !== undefined ? { lostParent: node.parentLvName } : {}),
    };
  }
}

function whatIs(node: DiskNode, isSnapshot: boolean, isParent: boolean): ChainNode['what'] {
  if (node.old) return 'set aside';
  if (node.kind === 'foreign') return 'foreign';
  if (node.hidden) return isParent ? 'base copy' : 'hidden';
  return isSnapshot ? 'snapshot' : 'disk';
}

/** By the name of the first disk in it, then by volume, so that two pictures of one SR can be compared. */
function byName(a: ChainNode, b: ChainNode): number {
  const [one, other] = [keyOf(a), keyOf(b)];
  return one < other ? -1 : 1;
}

function keyOf(chain: ChainNode): string {
  const [first] = chain.children;
  return chain.what === 'base copy' && first !== undefined ? keyOf(first) : `${chain.name ?? ''}\0${chain.node.lvName}`;
}
