import { quoteArgv } from '../../system/ssh/ssh-quote.ts';
import type { Disks } from '../disks.ts';
import { type ChainNode, forestOf, nodesOf } from '../forest.ts';
import type { Picture } from '../picture.ts';

/** A picture with disks, and what every check of it looks up. */
export interface Examined {
  readonly picture: Picture;
  readonly disks: Disks;
  readonly forest: readonly ChainNode[];
  /** Every node of the forest. */
  readonly chains: readonly ChainNode[];
  /** Without those set aside by a merge. */
  readonly byUuid: ReadonlyMap<string, ChainNode>;
  readonly byLv: ReadonlyMap<string, ChainNode>;
}

export function examine(picture: Picture, disks: Disks): Examined {
  const forest = forestOf(picture);
  const chains = [...nodesOf(forest)];
  return {
    picture,
    disks,
    forest,
    chains,
    byUuid: new Map(chains.filter(({ node }) => !node.old).map((chain) => [chain.node.uuid, chain])),
    byLv: new Map(chains.map((chain) => [chain.node.lvName, chain])),
  };
}

/** How a person reaches a volume with `rbdsr vhd check`, once it is active. */
export function pathOf({ sr, place }: Picture, lvName: string): string {
  return place.kind === 'attached'
    ? `/dev/VG_XenStorage-${sr}/${lvName}`
    : `${lvName}, from a host that has the SR attached`;
}

/** The volume and the name for a finding about a node. */
export function about({ node, name }: ChainNode): { readonly where: string; readonly name?: string } {
  return { where: node.lvName, ...(name === undefined ? {} : { name }) };
}

/** The command that makes xapi and the storage agree; run on the pool master. */
export function scanCommand({ sr }: Picture): string {
  return `xe sr-scan uuid=${sr}`;
}

/** Before anything that cannot be taken back: a snapshot costs nothing and can be gone back to. */
export function snapshotFirst({ place }: Picture): string {
  return place.kind === 'attached'
    ? `First, on a machine with ceph tools, \`rbd snap create ${quoteArgv([`${place.image}@before-repair`])}\``
    : 'Work on another copy of it';
}
