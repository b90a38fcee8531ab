import { describe, expect, test } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { storageVdis } from '../../../src/sr/scan.ts';

const BASE = vdiUuid('aaaaaaaa-0000-4000-8000-000000000001');
const LEAF = vdiUuid('aaaaaaaa-0000-4000-8000-000000000002');
const GARBAGE = vdiUuid('aaaaaaaa-0000-4000-8000-000000000003');

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
    expect(storageVdis(tree, [], { imageFormatKey: false }).map(({ uuid }) => uuid)).toEqual([BASE, LEAF]);
  });

  test('an inner node is read-only and not managed; a leaf names its parent', () => {
    const [base, leaf] = storageVdis(tree, [], { imageFormatKey: false });
    expect(base).toMatchObject({ readOnly: true, managed: false, smConfig: { vdi_type: 'vhd', 'vhd-parent': null } });
    expect(leaf).toMatchObject({ readOnly: false, managed: true, smConfig: { vdi_type: 'vhd', 'vhd-parent': BASE } });
  });

  test('without a metadata volume nobody knows which leaf is read-only', () => {
    const [base, leaf] = storageVdis(tree, undefined, { imageFormatKey: false });
    expect(base?.readOnly).toBe(true);
    expect(leaf).not.toHaveProperty('readOnly');
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
    expect(storageVdis(tree, [metadata], { imageFormatKey: true })[1]).toMatchObject({
      nameLabel: 'disk & more',
      type: 'system',
      isASnapshot: true,
      snapshotOf: BASE,
      snapshotTime: '20261124T08:00:00Z',
      readOnly: true,
    });
  });
});
