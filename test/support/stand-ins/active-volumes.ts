import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { PROJECT_ROOT } from '../../../lab/machine/project.ts';
import type { LoopPool } from '../loop-pool.ts';

const PROGRAM = join(PROJECT_ROOT, 'test/support/stand-ins/active-volumes.mjs');
/** In the folder of each host of a LoopPool. */
const FOLDER = 'volumes';

/**
 * Volumes can be activated on the hosts of a pool, each of which has its own: loop devices over their extents stand for
 * device-mapper's, which this machine has not. Disposing ends those that are left.
 */
export class ActiveVolumes implements Disposable {
  /** Starts drivers where it is so (LoopPool.startedBy). */
  readonly prefix: readonly string[];
  readonly #roots: readonly string[];

  /**
   * `apartBytes`: new volumes lie so far apart, where there is room, so that one that grows does so in one piece, which
   * is all that a loop device can show.
   */
  constructor(pool: LoopPool, o: { readonly apartBytes?: number } = {}) {
    const { vg } = pool.sr.lvm;
    this.#roots = [0, 1].map((index) => pool.root(index));
    for (const root of this.#roots) placeStandIns(root, vg, pool.loop.device);
    if (o.apartBytes !== undefined)
      for (const root of this.#roots) writeFileSync(join(root, FOLDER, 'apart'), String(o.apartBytes));
    this.prefix = ['unshare', '-m', 'sh', '-c', MOUNTS, 'sh', vg];
  }

  /** The logical volumes that are active on the n-th host. */
  on(index: number): readonly string[] {
    return Object.values(this.#state(index))
      .map(({ lv }) => lv)
      .toSorted();
  }

  /** As a restart of the host does. */
  forget(index: number): void {
    const folder = join(this.#roots[index] ?? '', FOLDER);
    for (const name of Object.keys(this.#state(index)))
      execFileSync(process.execPath, [PROGRAM, folder, 'dmsetup', 'remove', name]);
  }

  [Symbol.dispose](): void {
    for (const index of this.#roots.keys()) this.forget(index);
  }

  #state(index: number): Readonly<Record<string, { readonly lv: string }>> {
    const path = join(this.#roots[index] ?? '', FOLDER, 'volumes.json');
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  }
}

function placeStandIns(root: string, vg: string, device: string): void {
  const folder = join(root, FOLDER);
  for (const name of ['real', 'mapper', 'links', 'sys', 'dev']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(realpathSync('/usr/sbin/lvm'), join(folder, 'real/lvm'));
  for (const name of ['lvm', 'dmsetup']) {
    const text = `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' '${folder}' ${name} "$@"\n`;
    writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
  // The only devices of the machine that are left to be seen.
  const number = `7:${/[0-9]+$/.exec(basename(device))?.[0] ?? ''}`;
  symlinkSync(realpathSync(`/sys/dev/block/${number}`), join(folder, 'sys', number));
  // What is told a volume's path below the host's folder finds it there.
  for (const name of ['mapper', vg]) {
    rmSync(join(root, 'dev', name), { recursive: true, force: true });
    symlinkSync(`/dev/${name}`, join(root, 'dev', name));
  }
}

/** $1 is the volume group; then the program. Its folders in /dev nobody else sees: LVM makes no group that has one. */
const MOUNTS = `
F="$RBDSR_ROOT/${FOLDER}" VG="$1" && shift &&
mount -t tmpfs stand-ins "$F/dev" && mkdir "$F/dev/upper" "$F/dev/work" &&
mount -t overlay stand-ins -o "lowerdir=/dev,upperdir=$F/dev/upper,workdir=$F/dev/work" /dev &&
mkdir -p /dev/mapper "/dev/$VG" &&
mount --bind "$F/mapper" /dev/mapper && mount --bind "$F/links" "/dev/$VG" &&
mount --bind "$F/lvm" /usr/sbin/lvm && mount --bind "$F/dmsetup" /usr/sbin/dmsetup &&
mount --bind "$F/sys" /sys/block && mount --bind "$F/sys" /sys/dev/block &&
exec "$@"`;
