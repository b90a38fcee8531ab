import { RbdsrError } from '../../base/error.ts';
import { formatBytes } from '../../base/units.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import type { VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import type { VhdImage } from '../../vhd/image/image.ts';
import { openByExtents, type OpenPv } from '../extent-open.ts';
import { inflate } from './inflate.ts';
import type { VdiNode } from '../lv-table.ts';
import { openVhd } from '../open-vhd.ts';
import { acceptedVirtualSize, fullVhdLvSize, lvSize } from '../sizes.ts';

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

/**
 * Grows a disk that is attached nowhere. The volume first, then what the guest sees of it.
 *
 * | step | a cut after it leaves |
 * |---|---|
 * | the steps of `inflate` (inflate.ts) | its journal: the next command that writes metadata undoes them |
 * | `vdi-resize.after-lv`: the volume has its new size | a VHD as large as before in a larger volume; resizing again
 * goes on. A raw disk is resized |
 * | `vdi-resize.after-vhd`: footers and batmap say the new size | a resized disk; the next sr_scan tells xapi |
 */
export async function resizeVolume(
  world: { readonly lvm: Lvm; readonly openPv: OpenPv },
  report: VgReport,
  node: VdiNode,
  plan: ResizePlan,
): Promise<void> {
  const { lvm, openPv } = world;
  if (node.kind === 'aio') {
    await lvm.growLv(node.lvName, plan.lvSizeBytes);
    faultPoint('vdi-resize.after-lv');
    return;
  }
  const openLv = openByExtents(lvm, openPv);
  const hasGrown = await inflate({ lvm, openLv }, report, node.uuid, plan.lvSizeBytes);
  faultPoint('vdi-resize.after-lv');
  // One that has grown has other extents than the report says.
  const known = hasGrown ? undefined : report.lvs.find(({ name }) => name === node.lvName);
  const io = await openLv(node.lvName, 'write', known);
  const image = await openOrClose();
  await image.resizeFast(plan.virtualSizeBytes);
  await image.close();
  faultPoint('vdi-resize.after-vhd');

  async function openOrClose(): Promise<VhdImage> {
    try {
      return await openVhd(io, 'write');
    } catch (error) {
      await io.close();
      throw error;
    }
  }
}
