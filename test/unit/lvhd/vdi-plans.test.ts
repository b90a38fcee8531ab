import { describe, expect, it } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { GiB, MiB } from '../../../src/base/units.ts';
import { node } from './vdi-node.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkPlan, planVdi } from '../../../src/lvhd/ops/vdi-create.ts';
import { checkDeletable } from '../../../src/lvhd/ops/vdi-delete.ts';
import { planResize } from '../../../src/lvhd/ops/vdi-resize.ts';
import type { VgReport } from '../../../src/lvm/report.ts';

const uuid = vdiUuid('0d15c000-1111-4222-8333-0123456789ab');
const other = vdiUuid('0d15c001-1111-4222-8333-0123456789ab');

function plan(sizeBytes: number, kind: 'vhd' | 'aio' = 'vhd', allocation: 'thick' | 'thin' = 'thick') {
  return planVdi({ uuid, kind, sizeBytes, allocation });
}

function vg(freeBytes: number, lvs: VgReport['lvs'] = []): VgReport {
  const sizeBytes = 100 * GiB;
  return { name: 'VG', uuid: 'u', sizeBytes, freeBytes, extentSizeBytes: 4 * MiB, partial: false, pvs: [], lvs };
}

/** A thick disk of 1 GiB. */
function disk(changes: Partial<VdiNode> = {}): VdiNode {
  return node(1, { uuid, lvName: `VHD-${uuid}`, lvSizeBytes: 1032 * MiB, virtualSizeBytes: GiB, ...changes });
}

describe('a new disk', () => {
  it('has the sizes of a stock one', () => {
    expect(plan(10 * GiB)).toMatchObject({ lvName: `VHD-${uuid}`, lvSizeBytes: 10_268 * MiB });
    expect(plan(10 * GiB, 'vhd', 'thin').lvSizeBytes).toBe(8 * MiB);
    expect(plan(1).virtualSizeBytes).toBe(2 * MiB);
    expect(plan(5 * MiB, 'aio')).toMatchObject({
      lvName: `LV-${uuid}`,
      lvSizeBytes: 8 * MiB,
      virtualSizeBytes: 8 * MiB,
    });
  });

  it('is refused where it is too large, has no room or exists', () => {
    expect(() => plan(2041 * GiB)).toThrow(expect.objectContaining({ code: 'vdi-size' }));
    expect(() => plan(-1)).toThrow(expect.objectContaining({ code: 'vdi-size' }));
    expect(() => checkPlan(plan(GiB), vg(1028 * MiB))).toThrow(expect.objectContaining({ code: 'sr-full' }));
    checkPlan(plan(GiB), vg(1032 * MiB));
    const lv = {
      name: `LV-${uuid}`,
      sizeBytes: 1,
      active: false,
      open: false,
      readOnly: false,
      tags: [],
      segments: [],
    };
    expect(() => checkPlan(plan(GiB), vg(50 * GiB, [lv]))).toThrow(expect.objectContaining({ code: 'vdi-exists' }));
  });
});

describe('growing', () => {
  it('a thick disk gets a full volume, a thin one keeps its own', () => {
    expect(planResize(disk(), 10 * GiB, 'thick')).toEqual({
      virtualSizeBytes: 10 * GiB,
      lvSizeBytes: 10_268 * MiB,
    });
    expect(planResize(disk({ lvSizeBytes: 8 * MiB }), 10 * GiB, 'thin')?.lvSizeBytes).toBe(8 * MiB);
    expect(planResize(disk({ kind: 'aio', lvSizeBytes: GiB }), GiB + 1, 'thick')?.lvSizeBytes).toBe(GiB + 4 * MiB);
  });

  it('the same size is nothing to do, a smaller one is refused', () => {
    expect(planResize(disk(), GiB, 'thick')).toBeUndefined();
    expect(() => planResize(disk(), GiB - 1, 'thick')).toThrow(expect.objectContaining({ code: 'vdi-size' }));
    expect(() => planResize(disk(), 2 * GiB, 'thick', 2 * GiB - 1)).toThrow(
      expect.objectContaining({ code: 'vdi-size' }),
    );
  });
});

describe('deleting', () => {
  it('is refused for a base and for a disk that is open', () => {
    const child = disk({ uuid: other, lvName: `VHD-${other}`, parentUuid: uuid });
    const refused = (code: string) => expect.objectContaining({ code });
    expect(() => checkDeletable(disk(), new VdiTree([disk(), child]))).toThrow(refused('vdi-delete'));
    const open = disk({ open: true });
    expect(() => checkDeletable(open, new VdiTree([open]))).toThrow(refused('vdi-in-use'));
    checkDeletable(child, new VdiTree([disk(), child]));
  });
});
