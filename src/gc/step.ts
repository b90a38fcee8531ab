import type { DrivenVdi, VdiNode } from '../lvhd/lv-table.ts';
import type { MergeRoom } from './room.ts';

/** One thing for the collector to do, and why. */
export type GcStep = { readonly why: string } & (
  | { readonly kind: 'delete'; readonly node: VdiNode }
  | {
      /** The contents of `node` are in `into`: its children are to hang there. */
      readonly kind: 'relink';
      readonly node: DrivenVdi;
      readonly into: DrivenVdi;
      /** Hosts whose guests wait for the moment of the relinking. */
      readonly usedOn: readonly string[];
    }
  | {
      readonly kind: 'coalesce';
      readonly node: DrivenVdi;
      readonly into: DrivenVdi;
      readonly room: MergeRoom;
      readonly usedOn: readonly string[];
    }
  | {
      /** What a leaf holds becomes a base of its own below it, too large to be merged while nobody can use the disk. */
      readonly kind: 'leaf-base';
      readonly node: DrivenVdi;
      readonly into: DrivenVdi;
      readonly room: MergeRoom;
    }
  | { readonly kind: 'leaf-coalesce'; readonly node: DrivenVdi; readonly into: DrivenVdi; readonly room: MergeRoom }
  | {
      /** A leaf that stock has set aside and merged: the disk is whole without it. */
      readonly kind: 'delete-aside';
      readonly node: DrivenVdi;
    }
);

/** A node that could be collected but for this. */
export interface NodeThatStays {
  readonly kind: 'leave';
  readonly node: VdiNode;
  readonly why: string;
}

export interface GcPlan {
  /** In the order in which they are done; after each the SR is looked at anew. */
  readonly steps: readonly GcStep[];
  readonly left: readonly NodeThatStays[];
}

/** What a merge of the node into its parent takes; undefined where nobody could read that. */
export type RoomOf = (node: VdiNode) => MergeRoom | undefined;
