import type { BlockIo } from '../../base/block-io.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { type Left, type Mending, type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { formatBytes, MiB } from '../../base/units.ts';
import { extentIo } from '../../lvm/extents.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { createVhd, type NewVhd } from '../../vhd/image/create.ts';
import { createChild, type NewParent } from '../../vhd/image/create-child.ts';
import { isUnfinished, lvName, unfinishedLvName, type VdiKind, vdiOfLv } from '../names.ts';
import { acceptedVirtualSize, EMPTY_VHD_LV_SIZE, fullVhdLvSize, lvSize, PREALLOCATED_VIRTUAL_SIZE } from '../sizes.ts';

/** What a new disk will be. Sizes are bytes. */
export interface VdiPlan {
  readonly uuid: VdiUuid;
  readonly kind: VdiKind;
  readonly lvName: string;
  readonly lvSizeBytes: number;
  readonly virtualSizeBytes: number;
  /** Of a disk that begins as what this one holds: what it is a child of. */
  readonly parent?: NewParent;
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

/** The making of one volume. */
interface Making {
  readonly world: CreateWorld;
  readonly plan: VdiPlan;
  /** The volume group as it was. */
  readonly report: VgReport;
  /** As LVM has made it. */
  lv?: LvReport;
}

/**
 * Makes the volume of a new disk, inactive on every host. After a failure it is gone again. A volume that has its final
 * name holds a whole disk: an empty VHD that could not be read would keep the SR from being scanned. The command goes
 * on with the disk's records (src/sm/handlers/vdi-create.ts).
 */
export async function createVolume(world: CreateWorld, plan: VdiPlan, report: VgReport): Promise<void> {
  const making: Making = { world, plan, report };
  try {
    await runSteps(volumeSteps[plan.kind], making);
  } catch (error) {
    // Then there is nothing of ours: what has the name is somebody's.
    if (making.lv === undefined && hasCode(error, 'lvm-create', 'sr-full')) throw error;
    const undoing = world.lvm.forCleanUp();
    const first = unfinishedLvName(plan.uuid);
    return undo(error, {
      [`the volume ${first}`]: () => undoing.removeLv(first),
      [`the volume ${plan.lvName}`]: () => undoing.removeLv(plan.lvName),
    });
  }
}

const removed: Mending = { by: ['sr_scan', 'vdi_create'], says: 'the next sr_scan or vdi_create removes it' };
const introduced: Mending = { by: ['sr_scan'], says: 'sr_scan introduces it under its uuid' };
const unnamed: Left = { id: 'new-volume-blank', says: 'a volume without a disk' };

/** What makes a volume of each kind. */
export const volumeSteps: Readonly<Record<VdiKind, readonly Step<Making>[]>> = {
  vhd: [
    step('vdi-create.after-lv', makeVolume, {
      does: '`lvcreate new_<vdi>`',
      leaves: unnamed,
      mendedBy: removed,
    }),
    step('vdi-create.after-vhd', writeVhd, {
      does: 'the VHD, through the extents',
      leaves: { id: 'new-volume-vhd', says: 'a disk under a name that no scan looks at' },
      mendedBy: removed,
    }),
    step('vdi-create.after-volume', nameVolume, {
      does: '`lvrename` to `VHD-<vdi>`',
      leaves: { id: 'volume-only', says: 'a whole, empty disk without records' },
      mendedBy: {
        ...introduced,
        says: `${introduced.says}; \`rbdsr mgt rebuild\` gives it a record in the metadata volume, or delete it`,
      },
    }),
  ],
  aio: [
    step('vdi-create.after-lv', makeVolume, { does: '`lvcreate new_<vdi>`', leaves: unnamed, mendedBy: removed }),
    step('vdi-create.after-ends', clearEnds, {
      does: 'zeroes over its first and last MiB',
      leaves: unnamed,
      mendedBy: removed,
    }),
    step('vdi-create.after-volume', nameVolume, {
      does: '`lvrename` to `LV-<vdi>`',
      leaves: { id: 'volume-only', says: 'a whole disk without records' },
      mendedBy: introduced,
    }),
  ],
};

async function makeVolume(making: Making): Promise<void> {
  const { world, plan, report: before } = making;
  making.lv = await world.lvm.createLv(unfinishedLvName(plan.uuid), plan.lvSizeBytes, { before });
}

async function nameVolume({ world, plan }: Making): Promise<void> {
  await world.lvm.renameLv(unfinishedLvName(plan.uuid), plan.lvName);
}

/** Where partition tables lie: those of a disk that was deleted would show on the new one. */
const ENDS_BYTES = MiB;

async function clearEnds(making: Making): Promise<void> {
  await withVolume(making, async (io) => {
    const zeroes = Buffer.alloc(Math.min(ENDS_BYTES, io.size));
    await io.write(0, zeroes);
    await io.write(io.size - zeroes.length, zeroes);
    await io.flush();
  });
}

async function writeVhd(making: Making): Promise<void> {
  const { plan } = making;
  const vhd: NewVhd = {
    virtualSizeBytes: plan.virtualSizeBytes,
    maxVirtualSizeBytes: PREALLOCATED_VIRTUAL_SIZE,
    uuid: crypto.randomUUID(),
    timestamp: new Date(),
  };
  const { parent } = plan;
  await withVolume(making, (io) => (parent === undefined ? createVhd(io, vhd) : createChild(io, vhd, parent)));
}

async function withVolume({ world, plan, lv }: Making, work: (io: BlockIo) => Promise<void>): Promise<void> {
  if (lv === undefined) throw new RbdsrError('internal', { what: `the volume of VDI ${plan.uuid} is not made yet` });
  const pv = await world.openPv('write');
  try {
    await work(extentIo(pv, lv));
  } finally {
    await pv.close();
  }
}
