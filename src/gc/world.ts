import type { VdiUuid } from '../base/ids.ts';
import type { Volumes } from '../lvhd/volumes.ts';
import type { VgReport } from '../lvm/report.ts';
import type { Forest } from './forest.ts';
import type { Pair } from './pair.ts';

/** An SR under its lock, as it is at this moment. */
export interface FoundSr {
  readonly report: VgReport;
  readonly forest: Forest;
}

/** What the collector works with: an SR of which this host is the master. */
export interface CollectorWorld extends Volumes {
  /**
   * Takes the SR's lock, and looks at the SR anew: of what was found before the lock nothing is believed. Others' locks
   * that were asked for meanwhile come first.
   */
  readonly locked: <T>(work: (found: FoundSr) => Promise<T>) => Promise<T>;
  /**
   * False as soon as this host is not the one that may write any more, or the `coalesce` journal of `node` has gone.
   * Asked before each block; cheap.
   */
  readonly mayWrite: (node?: VdiUuid) => Promise<boolean>;
  /** Also where an end is asked for: whether what was begun may be taken back by this host. */
  readonly isMaster: () => Promise<boolean>;
  /**
   * Before what another collector has begun is gone on with. 'lock-busy' where one of another host is alive, or where
   * nobody can tell: a master that was frozen writes on when it thaws.
   */
  readonly othersRest: (node: VdiUuid) => Promise<void>;
  readonly progress?: (done: number, all: number) => void;
  /** Hosts that have a disk in use that hangs on the node load the table of its volume anew. */
  readonly refreshBelow: (node: VdiUuid) => Promise<void>;
  /** Whether the hosts know a key that keeps disks from coming into use: else no child can be relinked. */
  readonly canHoldBack: boolean;
  /**
   * Under the SR's lock: keeps disks from coming into use, and has those that are in use wait, on every host, with
   * nothing of their chains open. False where one is about to come into use, as far as one can tell who has seen it so
   * for `waitedMs`: then nothing is kept. Whatever becomes of it, both of the following are called.
   */
  readonly holdBack: (disks: readonly VdiUuid[], waitedMs: number) => Promise<boolean>;
  /** Those that wait go on, on every host, with their chains as they are by now. */
  readonly goOn: (disks: readonly VdiUuid[]) => Promise<void>;
  /** They may come into use again. */
  readonly letGo: (disks: readonly VdiUuid[]) => Promise<void>;
  /**
   * Of a node on which nothing hangs, without the SR's lock: 'lock-busy' where a host has it open, or does not say that
   * its volume is not active there any more.
   */
  readonly releasedEverywhere: (node: VdiUuid) => Promise<void>;
  /**
   * Under the SR's lock, of a disk that no host has: keeps it from coming into use, on hosts of every version. False,
   * and nothing is kept, where a host has it, or is about to.
   */
  readonly holdLeaf: (leaf: VdiUuid) => Promise<boolean>;
  readonly letLeafGo: (leaf: VdiUuid) => Promise<void>;
  /** As `releasedEverywhere`, of what nobody can begin to use, under the SR's lock: nobody is waited for long. */
  readonly releasedSoon: (node: VdiUuid) => Promise<void>;
  /** Under the SR's lock: what a leaf holds becomes a base, and it an empty child of that (src/sr/disk). */
  readonly makeBase: (leaf: VdiUuid, found: FoundSr) => Promise<void>;
  /** The records of a disk that has got the volume of its parent: its kind, its size, and what it hangs on. */
  readonly recordFolded: (pair: Pair) => Promise<void>;
  /** xapi's record of a disk names its new parent. */
  readonly recordParent: (disk: VdiUuid, parent: VdiUuid) => Promise<void>;
  readonly forgetMetadata: (node: VdiUuid) => Promise<void>;
  readonly forgetRecord: (node: VdiUuid) => Promise<void>;
}
