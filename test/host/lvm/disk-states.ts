import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { MiB } from '../../../src/base/units.ts';
import { attachLoop, type LoopDevice } from '../../support/lvhd-loop.ts';
import { type Disk, realArgv, SCRIPT, type ScriptedCall, VG } from './transcript-script.ts';

/** How one build of LVM is started. */
export interface LvmBuild {
  readonly program: string;
  /** Added to every command. */
  readonly extraArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The one this machine has. */
export const OWN_LVM: LvmBuild = { program: 'lvm', extraArgs: ['--driverloaded', 'n'] };

export function startLvm({ program, extraArgs = [], env = {} }: LvmBuild, call: ScriptedCall, device: string) {
  const [command = '', ...rest] = realArgv(call, device);
  return spawnSync(program, [command, ...extraArgs, ...rest], {
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...env },
  });
}

/**
 * A loop device over `file` that holds what `disk` says: from the stock SR's `image`, by the calls of the script that
 * lead there, or by damage.
 */
export function diskIn(disk: Disk, file: string, image: string, lvm: LvmBuild = OWN_LVM): LoopDevice {
  const start: Disk = disk.startsWith('sr') || disk.startsWith('damaged') ? 'sr' : 'blank';
  rmSync(file, { force: true });
  if (start === 'sr') execFileSync('cp', ['--sparse=always', image, file]);
  else {
    writeFileSync(file, '');
    truncateSync(file, 512 * MiB);
  }
  const loop = attachLoop(file);
  const lead = (argv: readonly string[]): void => {
    const { status, stderr } = startLvm(lvm, { disk, access: 'master', argv }, loop.device);
    if (status !== 0) throw new Error(`${argv.join(' ')}: ${status} ${stderr}`);
  };
  try {
    if (disk === 'other-vg') {
      lead(['vgcreate', 'vg-of-others', loop.device]);
      lead(['lvcreate', '-an', '-Zn', '-n', 'theirs', '-L', '8m', 'vg-of-others']);
    } else if (disk.startsWith('damaged')) damage(loop.device, disk);
    else for (const { argv } of wayTo(disk, start)) lead(argv);
    return loop;
  } catch (error) {
    loop[Symbol.dispose]();
    throw error;
  }
}

function wayTo(disk: Disk, start: Disk): readonly ScriptedCall[] {
  if (disk === start) return [];
  const last = SCRIPT.find(
    ({ becomes, access, argv }) => becomes === disk && access === 'master' && !argv.includes('--fs'),
  );
  if (last === undefined) throw new Error(`nothing leads to ${disk}`);
  return [...wayTo(last.disk, start), last];
}

/** Turns one bit round: of the label, of the header of the metadata, or of their text behind the group's name. */
function damage(device: string, disk: Disk): void {
  const fd = openSync(device, 'r+');
  try {
    const header = Buffer.alloc(512);
    readSync(fd, header, 0, 512, 4096);
    const text = 4096 + Number(header.readBigUInt64LE(40)) + VG.length + 40;
    const place = disk === 'damaged-label' ? 512 + 40 : disk === 'damaged-header' ? 4096 + 45 : text;
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, place);
    byte.writeUInt8(byte.readUInt8() ^ 1);
    writeSync(fd, byte, 0, 1, place);
  } finally {
    closeSync(fd);
  }
  execFileSync('blockdev', ['--flushbufs', device]);
}
