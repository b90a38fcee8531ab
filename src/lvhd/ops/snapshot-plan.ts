import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { formatBytes } from '../../base/units.ts';
import type { VgReport } from '../../lvm/report.ts';
import type { DrivenVdi, VdiNode } from '../lv-table.ts';
import { lvName } from '../names.ts';
import { EMPTY_VHD_LV_SIZE, fullVhdLvSize, deflatedLvSize, SMALL_LV_SIZE } from '../sizes.ts';

/** Volumes in a chain, the leaf included, beyond which no snapshot is taken (sm `vhdutil.MAX_CHAIN_SIZE`). */
export const LONGEST_CHAIN = 30;

/** What a snapshot or a clone of a disk is to be. */
export interface SnapshotWish {
  readonly source: DrivenVdi;
  /** Its ancestors, the nearest first. */
  readonly ancestors: readonly DrivenVdi[];
  /** Of the volume that gets what the source holds by now. */
  readonly base: VdiUuid;
  /** Of the new disk; none where only a new base is wanted (sm `LVHDVDI.SNAPSHOT_SINGLE`). */
  readonly copy?: VdiUuid;
  /** Whether that one is for reading; a clone is for writing. */
  readonly isSnapshot: boolean;
  readonly allocation: 'thick' | 'thin';
  /** Whether the source is itself a snapshot. */
  readonly ofSnapshot: boolean;
  /** Whether a host has the source active for writing. */
  readonly isWritten: boolean;
  /** Bytes that a VHD's data and footer take. */
  readonly physicalSizeBytes: number;
  /** Which of the source and its ancestors hold no block of their own, leaf first; the first that does ends it. */
  readonly empty: readonly boolean[];
}

/** Sizes are bytes. */
export interface SnapshotPlan {
  readonly source: DrivenVdi;
  /**
   * What the source holds, under a uuid of its own, with a new and empty leaf in its place. Absent where it holds
   * nothing of its own: then the new disk is a child of what the source is a child of.
   */
  readonly base?: NewBase;
  /** What the new volumes are children of. */
  readonly parent: { readonly uuid: VdiUuid; readonly lvName: string; readonly isRaw: boolean };
  readonly copy?: { readonly uuid: VdiUuid; readonly lvSizeBytes: number };
}

export interface NewBase {
  readonly uuid: VdiUuid;
  readonly lvName: string;
  /** After it has given back what it does not need, as it is now: a guest may still write to it. */
  readonly lvSizeBytes: number;
  readonly leafLvSizeBytes: number;
}

/**
 * Which volumes a snapshot makes, and how large, as sm `LVHDSR.py` (`_snapshot`) has it. 'vdi-snapshot' for a hidden
 * one, 'chain-too-long', 'sr-full': nothing has been written by then. Pure.
 */
export function planSnapshot(wish: SnapshotWish, report: VgReport): SnapshotPlan {
  const { source, ancestors, copy } = wish;
  refuseBase(source);
  const inherited = wish.isWritten ? undefined : emptyOver(wish);
  const depth = ancestors.length + 1;
  if (inherited === undefined && depth >= LONGEST_CHAIN) throw tooLong(source, depth);
  const full = fullVhdLvSize(source.virtualSizeBytes);
  const isThick = wish.allocation === 'thick';
  const copySize = isThick && !wish.isSnapshot ? full : EMPTY_VHD_LV_SIZE;
  const child = copy === undefined ? {} : { copy: { uuid: copy, lvSizeBytes: copySize } };
  if (inherited !== undefined) {
    refuseWithoutRoom(report, source, copy === undefined ? 0 : copySize);
    return { source, parent: asParent(inherited), ...child };
  }
  const leafSize = wish.isWritten || (isThick && !wish.ofSnapshot) ? full : EMPTY_VHD_LV_SIZE;
  const base = baseOf(wish, leafSize);
  const givenBack = source.lvSizeBytes - base.lvSizeBytes;
  const journals = 2 * SMALL_LV_SIZE;
  refuseWithoutRoom(report, source, leafSize + (copy === undefined ? 0 : copySize) + journals - givenBack);
  return { source, base, parent: { ...base, isRaw: source.kind === 'aio' }, ...child };
}

function baseOf({ source, base, physicalSizeBytes }: SnapshotWish, leafLvSizeBytes: number): NewBase {
  const size = source.kind === 'aio' ? source.lvSizeBytes : deflatedLvSize(physicalSizeBytes);
  const lvSizeBytes = Math.min(source.lvSizeBytes, size);
  return { uuid: base, lvName: lvName(source.kind, base), lvSizeBytes, leafLvSizeBytes };
}

/**
 * The ancestor that a child of the source would show the same as: the first that holds a block, has no parent, or is
 * raw (blktap `vhd-util-snapshot.c`). Undefined where that is the source itself.
 */
function emptyOver({ source, ancestors, empty }: SnapshotWish): DrivenVdi | undefined {
  const chain = [source, ...ancestors];
  const at = chain.findIndex((node, index) => empty[index] !== true || node.kind === 'aio' || isLast(index));
  return at <= 0 ? undefined : chain[at];

  function isLast(index: number): boolean {
    return index === chain.length - 1;
  }
}

function asParent({ uuid, lvName: name, kind }: DrivenVdi): SnapshotPlan['parent'] {
  return { uuid, lvName: name, isRaw: kind === 'aio' };
}

function refuseBase({ uuid, hidden, lvName: name }: VdiNode): void {
  if (!hidden) return;
  throw new RbdsrError('vdi-snapshot', {
    what: `VDI ${uuid} is the base of other disks, or is being deleted`,
    expected: 'a disk or a snapshot',
    found: `${name}, which is hidden`,
  });
}

function tooLong({ uuid }: VdiNode, depth: number): RbdsrError {
  return new RbdsrError('chain-too-long', {
    what: `the chain of VDI ${uuid} is ${depth} volumes long, and one more is not made`,
    expected: `fewer than ${LONGEST_CHAIN}`,
    found: String(depth),
    todo: 'Delete snapshots of it that are not needed, and collect what they leave: rbdsr gc.',
  });
}

function refuseWithoutRoom(report: VgReport, { uuid }: VdiNode, wanted: number): void {
  if (report.freeBytes >= wanted) return;
  throw new RbdsrError('sr-full', {
    what: `there is no room for a snapshot or clone of VDI ${uuid}`,
    expected: `${formatBytes(wanted)} free in ${report.name}`,
    found: formatBytes(report.freeBytes),
    todo: 'Delete disks or grow the RBD image.',
  });
}
