import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { extentIo } from '../lvm/extents.ts';
import type { Lvm } from '../lvm/lvm.ts';
import { lvNamed, type LvReport } from '../lvm/report.ts';
import type { OpenLv } from './journal/journals.ts';
import type { Volumes } from './volumes.ts';

export type OpenPv = (mode: 'read' | 'write') => Promise<BlockIo>;

/**
 * Volumes opened through their extents, as LVM describes them at that moment: nothing is activated, and a crash leaves
 * nothing active.
 */
export function volumesByExtents({ lvm, openPv }: { readonly lvm: Lvm; readonly openPv: OpenPv }): Volumes {
  return { lvm, openLv: openByExtents(lvm, openPv) };
}

/** One volume whose report is known; closing it closes the physical volume's device. */
export async function openLvExtents(openPv: OpenPv, lv: LvReport, mode: 'read' | 'write'): Promise<BlockIo> {
  const pv = await openPv(mode);
  try {
    return { ...extentIo(pv, lv), close: () => pv.close() };
  } catch (error) {
    await pv.close();
    throw error;
  }
}

function openByExtents(lvm: Lvm, openPv: OpenPv): OpenLv {
  return async (name, mode, known) => {
    const lv = known ?? lvNamed(await lvm.report(), name);
    if (lv === undefined)
      throw new RbdsrError('lvm-missing', { what: `there is no logical volume ${name} in ${lvm.vg}` });
    return openLvExtents(openPv, lv, mode);
  };
}
