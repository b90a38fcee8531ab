import { expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { committedLv } from '../../../src/lvm/committed-lv.ts';
import { existingLv, type LvSegment, type VgReport } from '../../../src/lvm/report.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';

// What is written by it has to land on extents of that volume and of no other.

test('a new volume is as LVM reports it, unless anything else is not as LVM had reported it', async () => {
  using loop = loopDevice(200 * MiB);
  await using open = await openSrOn(loop.device, '0a1b2c3d-0000-4000-8000-000000000002');
  const { lvm } = open;
  await lvm.createVg();
  await lvm.createLv('VHD-a', 8 * MiB);
  await lvm.createLv('VHD-b', 8 * MiB);
  const before = await open.report();
  await lvm.createLv('VHD-c', 12 * MiB, { tag: 'new' });
  const made = existingLv(await open.report(), 'VHD-c');
  const device = (): ReturnType<typeof openBlockIo> => openBlockIo(loop.device, 'read');
  const look = (report: VgReport, name = 'VHD-c'): ReturnType<typeof committedLv> => committedLv(device, report, name);

  expect(await look(before)).toEqual(made);
  expect(await look(before, 'VHD-none')).toBeUndefined();
  // Names come and go in a command that LVM is not asked again in.
  expect(await look({ ...before, lvs: before.lvs.slice(1) })).toEqual(made);

  const [first, second] = before.lvs;
  if (first === undefined || second === undefined) throw new Error('there were two volumes');
  const [segment] = second.segments;
  if (segment === undefined) throw new Error('in one piece');
  const moved = (to: Partial<LvSegment>): VgReport => ({
    ...before,
    lvs: [first, { ...second, segments: [{ ...segment, ...to }] }],
  });
  const others: Readonly<Record<string, VgReport>> = {
    'another place of another volume': moved({ pvOffsetBytes: 64 * MiB }),
    'another size of another volume': moved({ lengthBytes: 4 * MiB }),
    'another kind of another volume': moved({ type: 'mirror' }),
    'another group': { ...before, uuid: 'another' },
    'another name': { ...before, name: 'VG_another' },
    'other extents': { ...before, extentSizeBytes: 8 * MiB },
    'another begin of the extents': { ...before, pvs: before.pvs.map((pv) => ({ ...pv, dataStartBytes: MiB })) },
    'another device': { ...before, pvs: before.pvs.map((pv) => ({ ...pv, name: '/dev/another' })) },
    'another size of the group': { ...before, sizeBytes: 8 * MiB },
    'a missing volume': { ...before, partial: true },
  };
  for (const [title, report] of Object.entries(others)) expect(await look(report), title).toBeUndefined();
});

test('of metadata that do not agree with their checksum nothing is taken', async () => {
  using loop = loopDevice(60 * MiB);
  await using open = await openSrOn(loop.device, '0a1b2c3d-0000-4000-8000-000000000003');
  await open.lvm.createVg();
  const before = await open.report();
  await open.lvm.createLv('VHD-a', 8 * MiB);
  const device = await openBlockIo(loop.device, 'read');
  const damaged = async (): ReturnType<typeof openBlockIo> => ({
    ...device,
    size: device.size,
    name: device.name,
    async read(offset, length) {
      const bytes = Buffer.from(await device.read(offset, length));
      const at = bytes.indexOf('extent_count = 2');
      if (at >= 0) bytes.write('extent_count = 3', at);
      return bytes;
    },
    flush: () => device.flush(),
    write: async () => undefined,
    close: async () => undefined,
  });
  expect(await committedLv(damaged, before, 'VHD-a')).toBeUndefined();
  await device.close();
});
