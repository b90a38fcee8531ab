import { execFileSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { lvmConfig } from '../../../src/lvm/config.ts';
import { extentIo } from '../../../src/lvm/extents.ts';
import { Lvm } from '../../../src/lvm/lvm.ts';
import { surveyDevice } from '../../../src/lvm/pv-label.ts';
import { lvNamed } from '../../../src/lvm/report.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';

const VG = 'VG_XenStorage-5a1c7f00-1111-4222-8333-0123456789ab';

function lvmOn(device: string, options: { vg?: string; writable?: boolean; locks?: string[] } = {}): Lvm {
  const { vg = VG, writable = true, locks } = options;
  return new Lvm({
    device,
    vg,
    writable,
    extraArgs: ['--driverloaded', 'n'],
    deadline: Deadline.after(60_000),
    serialise: () => {
      if (locks === undefined) return undefined;
      locks.push('taken');
      const release = async (): Promise<void> => void locks.push('released');
      return Promise.resolve({ path: 'test', release, [Symbol.asyncDispose]: release });
    },
  });
}

describe('Lvm on a loop device', () => {
  it('makes, reports and removes an SR’s volume group', async () => {
    using loop = loopDevice(200 * MiB);
    const lvm = lvmOn(loop.device);
    expect(await lvm.report()).toBeUndefined();
    await lvm.createVg(8 * MiB);
    const report = await lvm.report();
    expect(report).toMatchObject({ name: VG, extentSizeBytes: 4 * MiB, lvs: [], partial: false });
    expect(report?.pvs[0]?.dataStartBytes).toBeGreaterThanOrEqual(10 * MiB);
    expect((report?.pvs[0]?.dataStartBytes ?? 1) % (8 * MiB)).toBe(0);
    await expect(lvm.createVg()).rejects.toMatchObject({ code: 'vg-create' });
    await lvm.createLv('MGT', 4 * MiB);
    await expect(lvm.removeVg()).rejects.toMatchObject({ code: 'sr-not-empty' });
    await lvm.removeLv('MGT');
    await lvm.removePv();
    expect(await lvm.report()).toBeDefined();
    await lvm.removeVg();
    expect(await lvm.report()).toBeUndefined();
    await lvm.removeVg();
    await lvm.removePv();
    await lvm.removePv();
    const io = await openBlockIo(loop.device, 'read');
    // pvremove wipes the label and leaves the text of the metadata: the device is nobody's, but not blank.
    expect(await surveyDevice(io)).toMatchObject({ kind: 'foreign', what: 'data of an unknown kind' });
    await io.close();
  });

  it('changes LVs, and every verb may be repeated', async () => {
    using loop = loopDevice(200 * MiB);
    const lvm = lvmOn(loop.device);
    await lvm.createVg();
    await lvm.createLv('a', 5 * MiB, { tag: 'journaler' });
    await lvm.createLv('b', 4 * MiB);
    await lvm.growLv('a', 16 * MiB);
    await lvm.growLv('a', 16 * MiB);
    for (let time = 0; time < 2; time += 1) {
      await lvm.setPermission('b', 'r');
      await lvm.addTag('b', 'hidden');
      await lvm.renameLv('a', 'c');
      await lvm.removeTag('c', 'journaler');
      await lvm.deactivate('c');
    }
    const report = await lvm.report();
    expect(report?.lvs.map(({ name, sizeBytes, readOnly, tags }) => ({ name, sizeBytes, readOnly, tags }))).toEqual([
      { name: 'b', sizeBytes: 4 * MiB, readOnly: true, tags: ['hidden'] },
      { name: 'c', sizeBytes: 16 * MiB, readOnly: false, tags: [] },
    ]);
    expect(report?.lvs[1]?.segments.map(({ startBytes, lengthBytes }) => [startBytes, lengthBytes])).toEqual([
      [0, 8 * MiB],
      [8 * MiB, 8 * MiB],
    ]);
    await lvm.shrinkLv('c', 4 * MiB);
    await lvm.shrinkLv('c', 4 * MiB);
    await lvm.setPermission('b', 'rw');
    await lvm.removeLv('c');
    await lvm.removeLv('c');
    expect((await lvm.report())?.lvs.map((lv) => [lv.name, lv.readOnly])).toEqual([['b', false]]);
  });

  it('an LV that was made or resized is described alone, as in the whole report', async () => {
    using loop = loopDevice(200 * MiB);
    const lvm = lvmOn(loop.device);
    await lvm.createVg(8 * MiB);
    const before = await lvm.report();
    if (before === undefined) throw new Error('no volume group');
    const ofGroup = async (): Promise<unknown> => lvNamed(await lvm.report(), 'a');
    expect(await lvm.createLv('a', 5 * MiB, { tag: 'journaler', before })).toEqual(await ofGroup());
    await lvm.createLv('b', 4 * MiB, { before });
    const grown = await lvm.growLv('a', 16 * MiB, before);
    expect(grown.segments).toHaveLength(2);
    expect(grown).toEqual(await ofGroup());
    expect(await lvm.shrinkLv('a', 12 * MiB, before)).toEqual(await ofGroup());
    // Of a group that lies otherwise: asked for as a whole.
    const other = { ...before, pvs: before.pvs.map((pv) => ({ ...pv, name: '/dev/other' })) };
    expect(await lvm.growLv('a', 16 * MiB, other)).toEqual(grown);
    await expect(lvm.createLv('a', 4 * MiB, { before })).rejects.toMatchObject({ code: 'lvm-create' });
    await expect(lvm.createLv('big', 1024 * MiB, { before })).rejects.toMatchObject({ code: 'sr-full' });
    await expect(lvm.growLv('a', 1024 * MiB, before)).rejects.toMatchObject({ code: 'sr-full' });
    await expect(lvm.growLv('no', 8 * MiB, before)).rejects.toMatchObject({ code: 'lvm-missing' });
  });

  it('failures say what is wrong', async () => {
    using loop = loopDevice(100 * MiB);
    const lvm = lvmOn(loop.device);
    await lvm.createVg();
    await lvm.createLv('a', 4 * MiB);
    await expect(lvm.createLv('a', 4 * MiB)).rejects.toMatchObject({ code: 'lvm-create' });
    await expect(lvm.createLv('big', 1024 * MiB)).rejects.toMatchObject({ code: 'sr-full' });
    await expect(lvm.growLv('a', 1024 * MiB)).rejects.toMatchObject({ code: 'sr-full' });
    await expect(lvm.growLv('no', 8 * MiB)).rejects.toMatchObject({ code: 'lvm-missing' });
    await expect(lvm.renameLv('no', 'x')).rejects.toMatchObject({ code: 'lvm-missing' });
    await expect(lvm.addTag('no', 'x')).rejects.toMatchObject({ code: 'lvm-missing' });
    await expect(lvmOn('/dev/rbdsr-no-such').createVg()).rejects.toMatchObject({ code: 'vg-create' });
    expect(await lvmOn(loop.device, { vg: 'other' }).report()).toBeUndefined();
  });

  it('an instance that is not writable changes nothing', async () => {
    using loop = loopDevice(100 * MiB);
    await lvmOn(loop.device).createVg();
    await lvmOn(loop.device).createLv('a', 4 * MiB);
    const slave = lvmOn(loop.device, { writable: false });
    await expect(slave.removeLv('a')).rejects.toMatchObject({ code: 'not-master' });
    await expect(slave.createLv('b', 4 * MiB)).rejects.toMatchObject({ code: 'not-master' });
    await expect(slave.shrinkLv('a', 2 * MiB)).rejects.toMatchObject({ code: 'not-master' });
    await expect(slave.growLv('a', 8 * MiB)).rejects.toMatchObject({ code: 'not-master' });
    await expect(slave.setPermission('a', 'r')).rejects.toMatchObject({ code: 'not-master' });
    expect((await slave.report())?.lvs.map((lv) => [lv.name, lv.sizeBytes, lv.readOnly])).toEqual([
      ['a', 4 * MiB, false],
    ]);
  });

  it('does not see a volume group on another device', async () => {
    using loop = loopDevice(100 * MiB);
    using other = loopDevice(100 * MiB);
    await lvmOn(other.device).createVg();
    expect(await lvmOn(loop.device).report()).toBeUndefined();
  });

  it('grows with its device', async () => {
    using loop = loopDevice(100 * MiB);
    const lvm = lvmOn(loop.device);
    await lvm.createVg();
    const before = await lvm.report();
    if (before === undefined) throw new Error('no volume group');
    truncateSync(loop.file, 140 * MiB);
    execFileSync('losetup', ['--set-capacity', loop.device]);
    await lvm.growPv(before);
    expect((await lvm.report())?.sizeBytes).toBe(before.sizeBytes + 40 * MiB);
  });

  it('takes the host’s lock around every command, one at a time', async () => {
    using loop = loopDevice(100 * MiB);
    const locks: string[] = [];
    const lvm = lvmOn(loop.device, { locks });
    await lvm.createVg();
    await lvm.report();
    await expect(lvm.createLv('big', 1024 * MiB)).rejects.toThrow();
    expect(locks.join(' ')).toBe(Array.from({ length: 4 }, () => 'taken released').join(' '));
  });

  it('sees on the device what was renamed and removed, also where the text of the metadata begins again at its start', async () => {
    using loop = loopDevice(200 * MiB);
    const config = ['--driverloaded', 'n', '--config', lvmConfig({ device: loop.device, writable: true })];
    // The smallest area there is, so that few changes fill it.
    execFileSync('lvm', ['vgcreate', ...config, '--metadatasize', '60k', '--dataalignment', '64k', VG, loop.device], {
      stdio: 'pipe',
    });
    const names = Array.from({ length: 30 }, (_, n) => `b${n}`);
    for (const name of names)
      execFileSync('lvm', ['lvcreate', ...config, '-an', '-Zn', '-l1', '-n', name, VG], { stdio: 'pipe' });
    const locks: string[] = [];
    const lvm = lvmOn(loop.device, { locks });
    const io = await openBlockIo(loop.device, 'read');
    onTestFinished(() => io.close());
    const isSplit = async (): Promise<boolean> => {
      const header = await io.read(4096, 512);
      const [ring, offset, size] = [32, 40, 48].map((at) => Number(header.readBigUInt64LE(at)));
      return (offset ?? 0) + (size ?? 0) > (ring ?? 0);
    };
    let changes = 0;
    for (let split = false; !split && changes < 40; changes += 1) {
      await (changes % 2 === 0 ? lvm.renameLv('b0', 'a') : lvm.renameLv('a', 'b0'));
      split = await isSplit();
    }
    expect(await isSplit()).toBe(true);
    expect(locks).toHaveLength(2 * changes);
    await lvm.removeLvs(['b1', 'b2']);
    expect(locks).toHaveLength(2 * (changes + 2));
    expect((await lvm.report())?.lvs.map(({ name }) => name)).toEqual(
      [changes % 2 === 0 ? 'b0' : 'a', ...names.slice(3)].toSorted(),
    );
  });

  it('an LV without extents is reported, and refused when it is read', async () => {
    using loop = loopDevice(100 * MiB);
    const lvm = lvmOn(loop.device);
    await lvm.createVg();
    await lvm.createLv('a', 4 * MiB);
    const config = lvmConfig({ device: loop.device, writable: true });
    execFileSync(
      'lvm',
      ['lvcreate', '--driverloaded', 'n', '--config', config, '-an', '--type', 'zero', '-L', '8M', '-n', 'VHD-z', VG],
      { stdio: 'pipe' },
    );
    const lv = (await lvm.report())?.lvs.find((entry) => entry.name === 'VHD-z');
    expect(lv).toMatchObject({ sizeBytes: 8 * MiB, segments: [] });
    const io = await openBlockIo(loop.device, 'read');
    expect(() => lv !== undefined && extentIo(io, lv)).toThrow(expect.objectContaining({ code: 'vdi-unavailable' }));
    await io.close();
  });
});
