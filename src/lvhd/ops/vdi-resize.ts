import { RbdsrError } from '../../base/error.ts';
import { type Step, step } from '../../base/steps.ts';
import { formatBytes } from '../../base/units.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import { lvNamed, type VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { VhdImage } from '../../vhd/image/image.ts';
import { type OpenPv, volumesByExtents } from '../extent-open.ts';
import { inflate } from './inflate.ts';
import type { VdiNode } from '../lv-table.ts';
import type { VdiKind } from '../names.ts';
import { openVhd } from '../open-vhd.ts';
import { acceptedVirtualSize, fullVhdLvSize, lvSize } from '../sizes.ts';
import type { Volumes } from '../volumes.ts';

/** Bytes. */
export interface ResizePlan {
  readonly virtualSizeBytes: number;
  readonly lvSizeBytes: number;
}

/** Undefined where the disk has that size already. 'vdi-size' for a smaller or an impossible one. Pure. */
export function planResize(
  node: VdiNode,
  sizeBytes: number,
  allocation: 'thick' | 'thin',
  maxSizeBytes?: number,
): ResizePlan | undefined {
  if (sizeBytes < node.virtualSizeBytes) {
    throw new RbdsrError('vdi-size', {
      what: `VDI ${node.uuid} cannot be made smaller`,
      expected: `at least ${node.virtualSizeBytes} bytes (${formatBytes(node.virtualSizeBytes)})`,
      found: String(sizeBytes),
    });
  }
  const accepted = acceptedVirtualSize(sizeBytes, maxSizeBytes);
  const virtualSizeBytes = node.kind === 'aio' ? lvSize(accepted) : accepted;
  if (virtualSizeBytes <= node.virtualSizeBytes) return undefined;
  if (node.kind === 'aio') return { virtualSizeBytes, lvSizeBytes: virtualSizeBytes };
  const full = allocation === 'thin' ? node.lvSizeBytes : fullVhdLvSize(virtualSizeBytes);
  return { virtualSizeBytes, lvSizeBytes: Math.max(node.lvSizeBytes, full) };
}

/** The growing of one disk. */
interface Growing extends Volumes {
  readonly report: VgReport;
  readonly node: VdiNode;
  readonly plan: ResizePlan;
  /** By the first step, so that `report` is old. */
  hasGrown?: boolean;
}

/** Grows a disk that is attached nowhere. The volume first, then what the guest sees of it. */
export async function resizeVolume(
  world: { readonly lvm: Lvm; readonly openPv: OpenPv },
  report: VgReport,
  node: VdiNode,
  plan: ResizePlan,
): Promise<void> {
  await runSteps(resizeSteps[node.kind === 'aio' ? 'aio' : 'vhd'], { ...volumesByExtents(world), report, node, plan });
}

/** What grows a disk of each kind; the volume of a VHD grows by the steps of `inflate`, with a journal of its own. */
export const resizeSteps: Readonly<Record<VdiKind, readonly Step<Growing>[]>> = {
  vhd: [
    step('vdi-resize.after-lv', growVhdVolume, {
      does: 'the LV grows, by the steps above',
      leaves: { id: 'small-vhd-in-grown-volume', says: 'a VHD as large as before in a larger LV' },
      mendedBy: { by: ['again'], says: 'vdi_resize again goes on' },
    }),
    step('vdi-resize.after-vhd', growVhd, {
      does: 'footers and batmap say the new size',
      leaves: { id: 'grown-vhd', says: 'a resized disk' },
      mendedBy: { by: ['sr_scan'], says: 'sr_scan tells xapi' },
    }),
  ],
  aio: [
    step('vdi-resize.after-lv', growRawVolume, {
      does: 'the LV grows',
      leaves: { id: 'grown-raw-volume', says: 'a resized disk' },
      mendedBy: { by: ['sr_scan'], says: 'sr_scan tells xapi' },
    }),
  ],
};

async function growRawVolume({ lvm, report, node, plan }: Growing): Promise<void> {
  await lvm.growLv(node.lvName, plan.lvSizeBytes, report);
}

async function growVhdVolume(growing: Growing): Promise<void> {
  const { report, node, plan } = growing;
  growing.hasGrown = await inflate(growing, report, node.uuid, plan.lvSizeBytes);
}

async function growVhd({ openLv, report, node, plan, hasGrown }: Growing): Promise<void> {
  // One that has grown has other extents than the report says.
  const known = hasGrown === true ? undefined : lvNamed(report, node.lvName);
  const io = await openLv(node.lvName, 'write', known);
  const image = await openOrClose();
  await image.resizeFast(plan.virtualSizeBytes);
  await image.close();

  async function openOrClose(): Promise<VhdImage> {
    try {
      return await openVhd(io, 'write');
    } catch (error) {
      await io.close();
      throw error;
    }
  }
}
