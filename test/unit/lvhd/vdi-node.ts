import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';

/** The uuid of the n-th VDI of a test. */
export const id = (n: number): VdiUuid => vdiUuid(`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`);

/** The n-th VDI: a small thin VHD that nobody uses, unless `changes` says otherwise. */
export function node(n: number, changes: Partial<VdiNode> = {}): VdiNode {
  return {
    uuid: id(n),
    kind: 'vhd',
    lvName: `VHD-${id(n)}`,
    lvSizeBytes: 8 * MiB,
    virtualSizeBytes: 2 * MiB,
    hidden: false,
    lvReadOnly: false,
    active: false,
    open: false,
    old: false,
    ...changes,
  };
}
