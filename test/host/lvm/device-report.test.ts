import { describe, expect, it, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { readDeviceReport } from '../../../src/lvm/device-report.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';
import { openSr, openSrOn, vectorImages } from '../../support/lvhd-vectors.ts';
import { STOCK_ARCHIVES, useArchive } from '../../support/stock-archives.ts';
import { Lvm } from '../../../src/lvm/lvm.ts';
import { Deadline } from '../../../src/base/deadline.ts';

describe.each(STOCK_ARCHIVES)('the volume groups of %s, read without LVM', (archive) => {
  const path = useArchive(archive);
  it.each(Object.entries(vectorImages(archive)))('%s: as LVM reports it', async (_name, { file, sr }) => {
    await using open = await openSr(path(file), sr);
    expect(await readDeviceReport(open.pvIo)).toEqual(await open.report());
  });
});

test('tags, a read-only volume, and one in pieces', async () => {
  using loop = loopDevice(200 * MiB);
  const sr = '0a1b2c3d-0000-4000-8000-000000000001';
  await new Lvm({
    device: loop.device,
    vg: `VG_XenStorage-${sr}`,
    writable: true,
    serialise: () => undefined,
    extraArgs: ['--driverloaded', 'n'],
    deadline: Deadline.after(600_000),
  }).createVg();
  await using open = await openSrOn(loop.device, sr);
  const { lvm } = open;
  await lvm.createLv('VHD-a', 8 * MiB, { tag: 'hidden' });
  await lvm.createLv('VHD-b', 4 * MiB);
  await lvm.growLv('VHD-a', 16 * MiB);
  await lvm.setPermission('VHD-b', 'r');
  expect((await open.report()).lvs.map(({ segments }) => segments.length)).toEqual([2, 1]);
  expect(await readDeviceReport(open.pvIo)).toEqual(await open.report());
});

test('what holds no volume group is refused by name', async () => {
  using loop = loopDevice(20 * MiB);
  const io = await openBlockIo(loop.device, 'read');
  await expect(readDeviceReport(io)).rejects.toMatchObject({
    code: 'sr-unavailable',
    message: expect.stringContaining('no LVM label'),
  });
  await io.close();
});
