import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { lvmConfig } from '../../../src/lvm/config.ts';
import { Lvm } from '../../../src/lvm/lvm.ts';
import { surveyDevice } from '../../../src/lvm/pv-label.ts';
import type { Survey } from '../../../src/lvm/pv-label.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';

async function surveyOf(device: string): Promise<Survey> {
  const io = await openBlockIo(device, 'read');
  try {
    return await surveyDevice(io);
  } finally {
    await io.close();
  }
}

/** What real tools leave behind: program, arguments before the device, and what the survey must call it. */
const TOOLS: readonly (readonly [string, readonly string[], string])[] = [
  ['mkfs.ext4', ['-q', '-F'], 'an ext2/3/4 file system'],
  ['mkfs.ext4', ['-q', '-F', '-b', '1024'], 'an ext2/3/4 file system'],
  ['mkfs.xfs', ['-q', '-f'], 'an XFS file system'],
  ['mkfs.btrfs', ['-q', '-f'], 'a btrfs file system'],
  ['mkfs.vfat', ['-I'], 'a FAT file system'],
  ['mkfs.ntfs', ['-q', '-F', '-f'], 'an NTFS file system'],
  ['mkswap', ['-q'], 'swap space'],
  ['parted', ['-s', '{}', 'mklabel', 'gpt', 'mkpart', 'x', '1MiB', '50%'], 'a GPT partition table'],
  ['parted', ['-s', '{}', 'mklabel', 'msdos', 'mkpart', 'primary', '1MiB', '50%'], 'an MBR partition table'],
];
const present = (program: string): boolean =>
  ['/usr/sbin', '/sbin', '/usr/bin'].some((folder) => existsSync(`${folder}/${program}`));

describe('surveyDevice', () => {
  it.each(TOOLS.filter(([program]) => present(program)))('%s %j leaves %s', async (program, args, what) => {
    using loop = loopDevice(400 * MiB);
    const argv = args.includes('{}') ? args.map((arg) => (arg === '{}' ? loop.device : arg)) : [...args, loop.device];
    execFileSync(program, argv, { stdio: 'pipe' });
    expect(await surveyOf(loop.device)).toMatchObject({ kind: 'foreign', what });
  });

  it.runIf(present('cryptsetup'))('cryptsetup leaves a LUKS volume', async () => {
    using loop = loopDevice(64 * MiB);
    const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
    execFileSync('cryptsetup', ['luksFormat', '-q', ...quick, '--key-file', '-', loop.device], {
      input: 'key',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    expect(await surveyOf(loop.device)).toMatchObject({ kind: 'foreign', what: 'a LUKS volume', offset: 0 });
  });

  it('reads the volume group of a PV, after its metadata went round the ring as well', async () => {
    using loop = loopDevice(200 * MiB);
    const lvm = new Lvm({
      device: loop.device,
      vg: 'VG_XenStorage-a',
      writable: true,
      serialise: () => undefined,
      extraArgs: ['--driverloaded', 'n'],
      deadline: Deadline.after(60_000),
    });
    await lvm.createVg();
    const uuid = (await lvm.report())?.uuid;
    expect(await surveyOf(loop.device)).toMatchObject({ kind: 'vg', vgName: 'VG_XenStorage-a', vgUuid: uuid });
    for (const name of ['a', 'b', 'c']) await lvm.createLv(name, 4 * MiB);
    expect(await surveyOf(loop.device)).toMatchObject({ kind: 'vg', vgName: 'VG_XenStorage-a', vgUuid: uuid });
  });

  it('a PV in no volume group is not blank', async () => {
    using loop = loopDevice(100 * MiB);
    execFileSync(
      'lvm',
      ['pvcreate', '--driverloaded', 'n', '--config', lvmConfig({ device: loop.device, writable: true }), loop.device],
      { stdio: 'pipe' },
    );
    expect(await surveyOf(loop.device)).toMatchObject({
      kind: 'foreign',
      what: 'an LVM physical volume without a volume group',
      offset: 512,
    });
  });
});
