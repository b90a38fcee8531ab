import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachLoop } from '../../support/lvhd-loop.ts';
import type { LvmBuild } from './disk-states.ts';
import { DEVICE, VG } from './transcript-script.ts';

/**
 * What the stock collector asks LVM before it does anything else with an SR's volumes (sm `LVMCache.refresh`, which
 * every way in of `cleanup.py` comes to: a run, a forced one, `should_preempt`, and the plug-in `coalesce-leaf`). Where
 * that fails, it ends.
 */
export const COLLECTOR_ASKS = ['lvs', '--noheadings', '--units', 'b', '-o', '+lv_tags', `/dev/${VG}`];
/** The block devices, by the name of their driver, that a version looks at. */
export const DEVTYPES = ['devtypes', '--noheadings', '-o', 'devtype_name'];

/** What an operator sets where LVM looks at RBD devices (docs/operating.md). */
export const REJECT_RBD = 'r|^/dev/rbd|';

interface Situation {
  /** The name that the kernel has for the driver of the SR's device. */
  readonly driver: 'rbd' | 'sd';
  /** lvm.conf: `types = [ "rbd", 1024 ]`. */
  readonly types?: true | undefined;
  /** lvm.conf: global_filter. */
  readonly filter?: string | undefined;
}

const SITUATIONS: readonly Situation[] = [
  { driver: 'rbd' },
  { driver: 'rbd', filter: REJECT_RBD },
  { driver: 'rbd', types: true },
  { driver: 'rbd', types: true, filter: REJECT_RBD },
  { driver: 'sd' },
];

/** One call of LVM as a version of it answered. */
export interface CollectorCall extends Situation {
  readonly argv: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Asks a real LVM, with a host's lvm.conf and no configuration of ours, about the SR in `image` on a device of each
 * driver. That is a loop device in a /dev of its own, below /dev/rbd0 or /dev/sda: LVM knows a driver by the name that
 * /proc/devices has for its major number, and that file is another one here.
 */
export function askAsCollector(build: LvmBuild, image: string): readonly CollectorCall[] {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-collector-'));
  const loop = attachLoop(image);
  try {
    return SITUATIONS.flatMap(({ driver, types, filter }) => {
      const node = driver === 'rbd' ? '/dev/rbd0' : '/dev/sda';
      writeFileSync(join(folder, 'devices'), readFileSync('/proc/devices', 'utf8').replace(/ loop$/m, ` ${driver}`));
      writeFileSync(join(folder, 'lvm.conf'), confOf(types, filter));
      return [DEVTYPES, COLLECTOR_ASKS].map((argv): CollectorCall => {
        const { status, stdout, stderr } = start(build, folder, [loop.device, node], argv);
        const clean = (text: string): string => text.replaceAll(node, DEVICE).replaceAll(folder, '@FOLDER');
        const said = { stdout: clean(stdout), stderr: clean(stderr) };
        return {
          driver,
          types,
          filter,
          argv: argv.join(' '),
          exit: status ?? -1,
          stdout: said.stdout,
          stderr: said.stderr,
        };
      });
    });
  } finally {
    loop[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** There is no device-mapper on the machines that this runs on; nor are there devices but the one. */
function confOf(types: true | undefined, filter: string | undefined): string {
  const devices = [
    'obtain_device_list_from_udev = 0',
    'write_cache_state = 0',
    ...(types === true ? ['types = [ "rbd", 1024 ]'] : []),
    ...(filter === undefined ? [] : [`global_filter = [ "${filter}" ]`, `filter = [ "${filter}" ]`]),
  ];
  return `global { activation = 0 }\ndevices {\n${devices.join('\n')}\n}\n`;
}

function start(
  { program, env = {} }: LvmBuild,
  folder: string,
  [from, to]: readonly [string, string],
  argv: readonly string[],
) {
  return spawnSync('unshare', ['-m', 'sh', '-ec', INSIDE, 'sh', folder, from, to, program, ...argv], {
    encoding: 'utf8',
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      LVM_SYSTEM_DIR: folder,
      LVM_SUPPRESS_FD_WARNINGS: '1',
      ...env,
    },
  });
}

const INSIDE = `
folder=$1 from=$2 to=$3
shift 3
mount --bind "$folder/devices" /proc/devices
numbers=$(stat -c '%Hr %Lr' "$from")
mkdir -p "$folder/dev"
mount -t tmpfs own "$folder/dev"
mknod "$folder/dev/null" c 1 3
mknod "$folder/dev/urandom" c 1 9
mknod "$folder/dev/\${to#/dev/}" b $numbers
mount --move "$folder/dev" /dev
exec "$@"
`;
