import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ended, ended } from './small-product.ts';

/**
 * A root that holds nothing but one static program, busybox, under the names of a shell and its tools, and a host's
 * inventory.
 */
export class EmptyRoot implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'rbdsr-root-'));

  constructor() {
    for (const folder of ['bin', 'proc', 'dev', 'etc', 'tmp']) mkdirSync(join(this.path, folder));
    copyFileSync('/bin/busybox', join(this.path, 'bin/busybox'));
    execFileSync('chmod', ['755', join(this.path, 'bin/busybox')]);
    for (const name of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
      if (name !== 'busybox') symlinkSync('busybox', join(this.path, 'bin', name));
    }
    writeFileSync(join(this.path, 'etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='here'\n");
  }

  /** Runs a program of this root with nothing in its environment; the mounts it needs are gone when it ends. */
  run(...argv: readonly string[]): Ended {
    return ended(['unshare', '-m', 'sh', '-c', INSIDE, 'sh', this.path, ...argv]);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const INSIDE = `set -e
root=$1
shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
for name in null zero urandom random; do : >>"dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
exec env -i PATH="$PATH" chroot "$root" "$@"`;
