import { describe, expect, it } from 'vitest';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { dmName, splitDmName } from '../../../src/lvm/dm-name.ts';
import {
  cbtLogName,
  extractUuid,
  lvName,
  oldLvName,
  parentLvName,
  srOfVg,
  vdiOfLv,
  vdiTypeOfLv,
  vgName,
} from '../../../src/lvhd/names.ts';

const SR = srUuid('11111111-2222-3333-4444-555555555555');
const VDI = vdiUuid('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee');
const VG = `VG_XenStorage-${SR}`;

describe('names', () => {
  it('are the stock ones', () => {
    expect([vgName(SR), lvName('vhd', VDI), lvName('aio', VDI), oldLvName('vhd', VDI), cbtLogName(VDI)]).toEqual([
      VG,
      `VHD-${VDI}`,
      `LV-${VDI}`,
      `VHD-OLD_${VDI}`,
      `${VDI}.cbtlog`,
    ]);
  });

  it('a VG names its SR only in full', () => {
    expect(srOfVg(VG)).toBe(SR);
    expect([srOfVg(`${VG}0`), srOfVg('ceph-1'), srOfVg(`x${VG}`)]).toEqual([undefined, undefined, undefined]);
  });

  it.each([
    [`VHD-${VDI}`, { kind: 'vhd', uuid: VDI, old: false }],
    [`LV-${VDI}`, { kind: 'aio', uuid: VDI, old: false }],
    [`VHD-OLD_${VDI}`, { kind: 'vhd', uuid: VDI, old: true }],
    [`LV-OLD_${VDI}`, { kind: 'aio', uuid: VDI, old: true }],
    ['MGT', undefined],
    [`clone_${VDI}_1`, undefined],
    [`${VDI}.cbtlog`, undefined],
    [`QCOW2-${VDI}`, { kind: 'foreign', uuid: VDI, old: false }],
    [`QCOW2-OLD_${VDI}`, { kind: 'foreign', uuid: VDI, old: true }],
    [`new_${VDI}`, undefined],
    [`jvhd_${VDI}`, undefined],
    [`inflate_${VDI}_8388608`, undefined],
    [`VHD-X_${VDI}`, undefined],
    [`VHD-${VDI}x`, undefined],
    [`VHD-${VDI.toUpperCase()}`, undefined],
  ])('%s', (name, expected) => {
    expect(vdiOfLv(name)).toEqual(expected);
  });

  it('the metadata volume has the stock word for each kind', () => {
    expect([vdiTypeOfLv(`VHD-${VDI}`, 'vhd'), vdiTypeOfLv(`LV-${VDI}`, 'aio')]).toEqual(['vhd', 'aio']);
    expect(vdiTypeOfLv(`QCOW2-${VDI}`, 'foreign')).toBe('qcow2');
  });

  it.each([
    [`/dev/${VG}/VHD-${VDI}`, VDI],
    [`/dev/${VG}/LV-${VDI}`, VDI],
    [`/dev/mapper/${dmName(VG, `VHD-${VDI}`)}`, VDI],
    [`/dev/mapper/${dmName(VG, `LV-${VDI}`)}`, VDI],
    [`VHD-${VDI}`, VDI],
    [`VHD-OLD_${VDI}`, `OLD_${VDI}`],
    ['/dev/sda', undefined],
  ])('extractUuid(%s)', (path, expected) => {
    expect(extractUuid(path)).toBe(expected);
  });

  it.each([
    [dmName(VG, `VHD-${VDI}`), `VHD-${VDI}`],
    [`./${dmName(VG, `LV-${VDI}`)}`, `LV-${VDI}`],
    [`/dev/${VG}/VHD-${VDI}`, `VHD-${VDI}`],
    [`VHD-${VDI}`, `VHD-${VDI}`],
    [`LV-${VDI}`, `LV-${VDI}`],
    ['base.vhd', undefined],
    ['', undefined],
  ])('a parent called %s', (name, expected) => {
    expect(parentLvName(name)).toBe(expected);
  });

  it('device-mapper names double what is inside and split at what is not', () => {
    expect(dmName(VG, `VHD-${VDI}`)).toBe(
      'VG_XenStorage--11111111--2222--3333--4444--555555555555-VHD--aaaaaaaa--bbbb--cccc--dddd--eeeeeeeeeeee',
    );
    expect(splitDmName('a--b-c--d')).toEqual({ vg: 'a-b', lv: 'c-d' });
    expect([splitDmName('a--b'), splitDmName('a-b-c')]).toEqual([undefined, undefined]);
  });
});
