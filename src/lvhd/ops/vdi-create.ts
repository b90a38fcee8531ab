import type { BlockIo } from '../../base/block-io.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { formatBytes } from '../../base/units.ts';
import { extentIo } from '../../lvm/extents.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { createVhd } from '../../vhd/image/create.ts';
import { isUnfinished, lvName, unfinishedLvName, type VdiKind, vdiOfLv } from '../names.ts';
import { acceptedVirtualSize, EMPTY_VHD_LV_SIZE, fullVhdLvSize, lvSize, PREALLOCATED_VIRTUAL_SIZE } from '../sizes.ts';

/** What a new disk will be. Sizes are bytes. */
export interface VdiPlan {
  readonly uuid: VdiUuid;
  readonly kind: VdiKind;
  readonly lvName: string;
  readonly lvSizeBytes: number;
  readonly virtualSizeBytes: number;
}

/** 'vdi-size' for an impossible size. A raw disk is as large as its volume (sm `LVHDVDI.create`). Pure. */
export function planVdi(wanted: {
  readonly uuid: VdiUuid;
  readonly kind: VdiKind;
  readonly sizeBytes: number;
  readonly allocation: 'thick' | 'thin';
  /** Of this host version, where it is not the newest's. */
  readonly maxSizeBytes?: number;
}): VdiPlan {
  const { uuid, kind, allocation } = wanted;
  const accepted = acceptedVirtualSize(wanted.sizeBytes, wanted.maxSizeBytes);
  const name = lvName(kind, uuid);
  if (kind === 'aio') {
    const bytes = lvSize(accepted);
    return { uuid, kind, lvName: name, lvSizeBytes: bytes, virtualSizeBytes: bytes };
  }
  const lvSizeBytes = allocation === 'thin' ? EMPTY_VHD_LV_SIZE : fullVhdLvSize(accepted);
  return { uuid, kind, lvName: name, lvSizeBytes, virtualSizeBytes: accepted };
}

/** 'vdi-exists' | 'sr-full', before anything is written. Pure. */
export function checkPlan(plan: VdiPlan, report: VgReport): void {
  const taken = report.lvs.find(({ name }) => vdiOfLv(name)?.uuid === plan.uuid);
  if (taken !== undefined) {
    throw new RbdsrError('vdi-exists', { what: `VDI ${plan.uuid} exists in this SR`, found: taken.name });
  }
  if (report.freeBytes >= plan.lvSizeBytes) return;
  throw new RbdsrError('sr-full', {
    what: `there is no room for a disk of ${formatBytes(plan.virtualSizeBytes)}`,
    expected: `${formatBytes(plan.lvSizeBytes)} free in ${report.name}`,
    found: formatBytes(report.freeBytes),
    todo: 'Delete disks or grow the RBD image.',
  });
}

/** Left by a vdi_create that a crash cut short; nothing names them, so the next one removes them. */
export function unfinishedVolumes(report: VgReport): readonly LvReport[] {
  return report.lvs.filter(({ name }) => isUnfinished(name));
}

export interface CreateWorld {
  readonly lvm: Lvm;
  readonly openPv: (mode: 'read' | 'write') => Promise<BlockIo>;
}

/**
 * Makes the volume of a new disk, inactive on every host. After a failure it is gone again. A volume that has its final
 * name holds a whole disk: an empty VHD that could not be read would keep the SR from being scanned.
 *
 * | step | a cut after it leaves |
 * |---|---|
 * | `vdi-create.after-lv`: lvcreate `new_<vdi>` (a raw disk: `LV-<vdi>`, and no more steps) | a volume no scan looks
 * at; the next vdi_create removes it |
 * | `vdi-create.after-vhd`: the VHD, written through the extents | the same |
 * | `vdi-create.after-volume`: lvrename to `VHD-<vdi>` | a whole, empty disk without records: the next sr_scan
 * introduces it |
 *
 * The command goes on with the metadata record and xapi's record (src/sm/handlers/vdi-create.ts).
 */
export async function createVolume(world: CreateWorld, plan: VdiPlan): Promise<void> {
  const { lvm } = world;
  const first = plan.kind === 'aio' ? plan.lvName : unfinishedLvName(plan.uuid);
  let lv: LvReport | undefined;
  try {
    lv = await lvm.createLv(first, plan.lvSizeBytes);
    faultPoint('vdi-create.after-lv');
    if (plan.kind === 'vhd') {
      await writeVhd(world, plan, lv);
      faultPoint('vdi-create.after-vhd');
      await lvm.renameLv(first, plan.lvName);
    }
    faultPoint('vdi-create.after-volume');
  } catch (error) {
    // Then there is nothing of ours: what has the name is somebody's.
    if (lv === undefined && hasCode(error, 'lvm-create', 'sr-full')) throw error;
    const undoing = lvm.forCleanUp();
    return undo(error, {
      [`the volume ${first}`]: () => undoing.removeLv(first),
      [`the volume ${plan.lvName}`]: () => undoing.removeLv(plan.lvName),
    });
  }
}

async function writeVhd({ openPv }: CreateWorld, plan: VdiPlan, lv: LvReport): Promise<void> {
  const pv = await openPv('write');
  try {
    await createVhd(extentIo(pv, lv), {
      virtualSizeBytes: plan.virtualSizeBytes,
      maxVirtualSizeBytes: PREALLOCATED_VIRTUAL_SIZE,
      uuid: crypto.randomUUID(),
      timestamp: new Date(),
    });
  } finally {
    await pv.close();
  }
}
