import type { BlockIo } from '../base/block-io.ts';
import { hasCode, RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { settled } from '../base/settle.ts';
import { extentIo } from '../lvm/extents.ts';
import type { LvReport, VgReport } from '../lvm/report.ts';
import { readHeaderSummary } from '../vhd/format/header-summary.ts';
import { DELETED_TAG, HIDDEN_TAG, parentLvName, vdiOfLv } from './names.ts';
import type { LvKind, VdiKind, VdiLv } from './names.ts';

/** One VDI of the SR: a user's disk, a snapshot, or an inner node of a chain. Sizes are bytes. */
export interface VdiNode {
  readonly uuid: VdiUuid;
  readonly kind: LvKind;
  readonly lvName: string;
  readonly lvSizeBytes: number;
  /** Of a raw VDI its LV's size; 0 where the header could not be read. */
  readonly virtualSizeBytes: number;
  /**
   * A base copy, or a disk that is being deleted: xapi's users do not see it. Of one whose header cannot be read only
   * the latter is known.
   */
  readonly hidden: boolean;
  readonly parentUuid?: VdiUuid;
  readonly parentLvName?: string;
  /** Of the LV, not of the VDI. */
  readonly lvReadOnly: boolean;
  readonly active: boolean;
  readonly open: boolean;
  /** Set aside by a leaf coalesce (`VHD-OLD_*`); a node with the same uuid may stand beside it. */
  readonly old: boolean;
  /** 'vhd-corrupt' | 'io' | 'vdi-unavailable', of a foreign disk 'vdi-type': why nothing is known of it but its LV. */
  readonly scanError?: RbdsrError;
}

/** A disk that this driver drives. */
export type DrivenVdi = VdiNode & { readonly kind: VdiKind };

export function isDriven(node: VdiNode): node is DrivenVdi {
  return node.kind !== 'foreign';
}

/**
 * How many headers are read at a time. Enough to keep RADOS busy, few enough not to flood the ring of one krbd queue.
 */
const PARALLEL_READS = 32;

/**
 * Every VDI of the volume group, from one LVM report and one read of 1.5 KiB per VHD. The reads go to the physical
 * extents, so no LV has to be active on any host; they run in order of their place on the device. `pvIo` is the device
 * of the one physical volume. A header that cannot be read costs its own node only. `silent` holds, at any time, the
 * volumes whose header was asked for and has not come.
 */
export async function readVdiNodes(
  report: VgReport,
  pvIo: BlockIo,
  silent: Set<string> = new Set(),
): Promise<VdiNode[]> {
  const inDeviceOrder = vdiVolumes(report).toSorted((a, b) => firstByte(a.lv) - firstByte(b.lv));
  const nodes: VdiNode[] = [];
  const queue = inDeviceOrder.values();
  let stopped = false;
  const worker = async (): Promise<void> => {
    for (const { lv, vdi } of queue) {
      if (stopped) return;
      silent.add(lv.name);
      try {
        nodes.push(await readNode(lv, vdi, pvIo));
      } catch (error) {
        stopped = true;
        throw error;
      } finally {
        silent.delete(lv.name);
      }
    }
  };
  await settled(Array.from({ length: PARALLEL_READS }, worker));
  return nodes.toSorted((a, b) => (a.lvName < b.lvName ? -1 : 1));
}

/**
 * A VDI and its ancestors, from the same report, by reading their headers and no others: a disk can be used whatever
 * has become of the rest of the SR. Ends at a volume that is not there, or whose header cannot be read.
 */
export async function readChainNodes(report: VgReport, pvIo: BlockIo, uuid: VdiUuid): Promise<VdiNode[]> {
  const volumes = vdiVolumes(report).filter(({ vdi }) => !vdi.old);
  const nodes = new Map<VdiUuid, readonly VdiNode[]>();
  for (let next: VdiUuid | undefined = uuid; next !== undefined && !nodes.has(next); ) {
    const here: VdiNode[] = [];
    for (const { lv, vdi } of volumes) if (vdi.uuid === next) here.push(await readNode(lv, vdi, pvIo));
    nodes.set(next, here);
    next = here.at(-1)?.parentUuid;
  }
  return [...nodes.values()].flat();
}

function vdiVolumes(report: VgReport): { readonly lv: LvReport; readonly vdi: VdiLv }[] {
  return report.lvs.flatMap((lv) => {
    const vdi = vdiOfLv(lv.name);
    return vdi === undefined ? [] : [{ lv, vdi }];
  });
}

async function readNode(lv: LvReport, vdi: VdiLv, pvIo: BlockIo): Promise<VdiNode> {
  const known = {
    ...vdi,
    lvName: lv.name,
    lvSizeBytes: lv.sizeBytes,
    lvReadOnly: lv.readOnly,
    active: lv.active,
    open: lv.open,
  };
  if (vdi.kind === 'foreign') {
    return { ...known, virtualSizeBytes: 0, hidden: false, scanError: foreignDisk(vdi.uuid, lv.name) };
  }
  // Also where nobody could read, and hide, the header when the disk was deleted.
  const deleted = lv.tags.includes(DELETED_TAG);
  if (vdi.kind === 'aio') {
    return { ...known, virtualSizeBytes: lv.sizeBytes, hidden: deleted || lv.tags.includes(HIDDEN_TAG) };
  }
  try {
    const { virtualSizeBytes, hidden, parentName } = await readHeaderSummary(extentIo(pvIo, lv));
    return {
      ...known,
      virtualSizeBytes,
      hidden: hidden || deleted,
      ...(parentName === undefined ? {} : parentOf(lv, parentName)),
    };
  } catch (error) {
    if (hasCode(error, 'vhd-corrupt', 'vdi-unavailable', 'io'))
      return { ...known, virtualSizeBytes: 0, hidden: deleted, scanError: error };
    throw error;
  }
}

function foreignDisk(uuid: VdiUuid, lvName: string): RbdsrError {
  return new RbdsrError('vdi-type', {
    what: `VDI ${uuid} is of a format that RBDSR does not drive`,
    expected: 'a VHD or a raw disk',
    found: lvName,
    todo: 'It stays as it is. To have it as a VHD, plug the SR with the stock LVM driver, and copy the disk (xe vdi-copy) or export it there.',
  });
}

function parentOf(lv: LvReport, parentName: string): { readonly parentUuid: VdiUuid; readonly parentLvName: string } {
  const name = parentLvName(parentName);
  const vdi = name === undefined ? undefined : vdiOfLv(name);
  if (name === undefined || vdi === undefined) {
    throw new RbdsrError('vhd-corrupt', {
      what: `${lv.name} names a parent that is no VDI of an SR`,
      found: JSON.stringify(parentName.slice(0, 120)),
    });
  }
  return { parentUuid: vdi.uuid, parentLvName: name };
}

function firstByte(lv: LvReport): number {
  return lv.segments[0]?.pvOffsetBytes ?? 0;
}
