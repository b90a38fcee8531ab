import type { VdiUuid } from '../base/ids.ts';
import type { JournalEntry } from '../lvhd/journal/journal.ts';
import type { VdiNode } from '../lvhd/lv-table.ts';
import { VdiTree } from '../lvhd/tree.ts';

/** What is known of an SR's disks at one moment. */
export interface KnownOfDisks {
  /** As the headers have it, with what a leaf coalesce has set aside. */
  readonly nodes: readonly VdiNode[];
  readonly journals: readonly JournalEntry[];
  /** Who has a disk in use, or is about to: names of hosts, by disk. */
  readonly activeOn: ReadonlyMap<string, readonly string[]>;
  /** Disks that the collector leaves alone, and why. */
  readonly kept: ReadonlyMap<string, string>;
  /** Leaves that are not to be merged, and why. */
  readonly notFolded: ReadonlyMap<string, string>;
  /** Bytes that no volume has. */
  readonly freeBytes: number;
}

/** A disk that hangs on nothing, with all that hangs on it. */
export interface DiskTree {
  readonly root: VdiNode;
  /** Ancestors before descendants. */
  readonly nodes: readonly VdiNode[];
  /** Nodes in its longest chain. */
  readonly height: number;
}

/**
 * The disks of an SR as trees, with what the collector asks about them. Pure; each question is answered at once, of ten
 * thousand disks, too.
 */
export class Forest {
  readonly known: KnownOfDisks;
  readonly links: VdiTree;
  readonly trees: readonly DiskTree[];
  /** Nodes whose chains come back to themselves. */
  readonly circles: readonly VdiNode[];
  /** Disks whose parent nobody knows: any other node may be it. */
  readonly unplaced: readonly VdiNode[];
  readonly #journals = new Map<string, JournalEntry[]>();
  readonly #hostsBelow = new Map<string, Set<string>>();

  constructor(known: KnownOfDisks) {
    this.known = known;
    this.links = new VdiTree(known.nodes);
    const { nodes } = this.links;
    const isRoot = ({ parentUuid }: VdiNode): boolean =>
      parentUuid === undefined || this.links.find(parentUuid) === undefined;
    this.trees = nodes.filter(isRoot).map((root) => this.#grow(root));
    const reached = new Set(this.trees.flatMap((tree) => tree.nodes));
    this.circles = nodes.filter((node) => !reached.has(node));
    this.unplaced = [...this.links.unreadable(), ...this.links.foreign()];
    for (const entry of known.journals) this.#journals.set(entry.id, [...this.journalsOf(entry.id), entry]);
    for (const [uuid, hosts] of known.activeOn) this.#noteHosts(uuid as VdiUuid, hosts);
  }

  journalsOf(uuid: VdiUuid): readonly JournalEntry[] {
    return this.#journals.get(uuid) ?? [];
  }

  hasJournal(uuid: VdiUuid, type: 'coalesce' | 'relink'): boolean {
    return this.journalsOf(uuid).some((entry) => entry.type === type);
  }

  /** Hosts that have the node, or a disk that is built on it, in use. */
  hostsBelow(uuid: VdiUuid): readonly string[] {
    return [...(this.#hostsBelow.get(uuid) ?? [])].toSorted();
  }

  /** Level by level. */
  #grow(root: VdiNode): DiskTree {
    const nodes: VdiNode[] = [];
    let height = 0;
    for (let level: readonly VdiNode[] = [root]; level.length > 0; height += 1) {
      for (const node of level) nodes.push(node);
      level = level.flatMap(({ uuid }) => this.links.children(uuid));
    }
    return { root, nodes, height };
  }

  #noteHosts(uuid: VdiUuid, hosts: readonly string[]): void {
    for (const node of this.links.knownChain(uuid)) {
      const below = this.#hostsBelow.get(node.uuid) ?? new Set();
      for (const host of hosts) below.add(host);
      this.#hostsBelow.set(node.uuid, below);
    }
  }
}
