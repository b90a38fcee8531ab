import { describe, expect, test } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { cbtLogName } from '../../../src/lvhd/names.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import type { VgReport } from '../../../src/lvm/report.ts';
import { storageVdis } from '../../../src/sr/scan.ts';

const BASE = vdiUuid('aaaaaaaa-0000-4000-8000-000000000001');
const LEAF = vdiUuid('aaaaaaaa-0000-4000-8000-000000000002');
const GARBAGE = vdiUuid('aaaaaaaa-0000-4000-8000-000000000003');

const OLD = { imageFormatKey: false, dbIntroduceArity: 18 } as const;
const NEW = { imageFormatKey: true, dbIntroduceArity: 19 } as const;

/** Of a volume group with these volumes beside the disks. */
function report(...names: readonly string[]): VgReport {
  return { lvs: names.map((name) => ({ name })) } as unknown as VgReport;
}

function node(uuid: VdiNode['uuid'], more: Partial<VdiNode> = {}): VdiNode {
  return {
    uuid,
    kind: 'vhd',
    lvName: `VHD-${uuid}`,
    lvSizeBytes: 16 * 2 ** 20,
    virtualSizeBytes: 10 * 2 ** 20,
    hidden: false,
    lvReadOnly: false,
    active: false,
    open: false,
    old: false,
    ...more,
  };
}

describe('what a scan tells xapi of the storage', () => {
  const tree = new VdiTree([
    node(BASE, { hidden: true }),
    node(LEAF, { parentUuid: BASE, parentLvName: `VHD-${BASE}` }),
    node(GARBAGE, { hidden: true }),
  ]);

  test('a hidden node that nothing hangs on is not shown', () => {
    expect(storageVdis(tree, [], OLD, report()).map(({ uuid }) => uuid)).toEqual([BASE, LEAF]);
  });

  test('an inner node is read-only and not managed; a leaf names its parent', () => {
    const [base, leaf] = storageVdis(tree, [], OLD, report());
    expect(base).toMatchObject({ readOnly: true, managed: false, smConfig: { vdi_type: 'vhd', 'vhd-parent': null } });
    expect(leaf).toMatchObject({ readOnly: false, managed: true, smConfig: { vdi_type: 'vhd', 'vhd-parent': BASE } });
  });

  test('without a metadata volume nobody knows which leaf is read-only', () => {
    const [base, leaf] = storageVdis(tree, undefined, OLD, report());
    expect(base?.readOnly).toBe(true);
    expect(leaf).not.toHaveProperty('readOnly');
  });

  test('a disk is tracked where it has a log, and nobody is told where xapi knows no tracking', () => {
    const tracked = (profile: typeof OLD | typeof NEW): unknown =>
      storageVdis(tree, [], profile, report(cbtLogName(LEAF))).map(({ cbtEnabled }) => cbtEnabled);
    expect([tracked(NEW), tracked(OLD)]).toEqual([
      [false, true],
      [undefined, undefined],
    ]);
  });

  test('names, type and snapshot come from the metadata volume', () => {
    const metadata = {
      uuid: LEAF,
      nameLabel: 'disk & more',
      nameDescription: 'd',
      isASnapshot: true,
      snapshotOf: BASE,
      snapshotTime: '20261124T08:00:00Z',
      type: 'system',
      vdiType: 'vhd',
      readOnly: true,
      managed: true,
      metadataOfPool: '',
    };
    expect(storageVdis(tree, [metadata], NEW, report())[1]).toMatchObject({
      nameLabel: 'disk & more',
      type: 'system',
      isASnapshot: true,
      snapshotOf: BASE,
      snapshotTime: '20261124T08:00:00Z',
      readOnly: true,
    });
  });
});
