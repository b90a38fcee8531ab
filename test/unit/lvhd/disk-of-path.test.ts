import { expect, test } from 'vitest';
import { diskOfPath } from '../../../src/lvhd/disk-of-path.ts';

const SR = '11111111-2222-3333-4444-555555555555';
const VDI = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';
const VG = `/dev/VG_XenStorage-${SR}`;

test.each(['VHD-', 'LV-', 'QCOW2-'])('the volume of a disk, %s', (prefix) => {
  expect(diskOfPath(`${VG}/${prefix}${VDI}`)).toEqual({ sr: SR, vdi: VDI });
});

test.each([
  `${VG}/MGT`,
  `${VG}/VHD-OLD_${VDI}`,
  `${VG}/new_${VDI}`,
  `${VG}/VHD-${VDI}/x`,
  `/dev/XSLocalEXT-${SR}/VHD-${VDI}`,
  `/dev/sm/phy/${SR}/${VDI}`,
  `/run/sr-mount/${SR}/${VDI}.vhd`,
  '',
])('%j is no disk', (path) => {
  expect(diskOfPath(path)).toBeUndefined();
});
