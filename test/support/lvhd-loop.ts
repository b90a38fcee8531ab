import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** A loop device over a file of its own; disposing detaches it. */
export interface LoopDevice extends Disposable {
  readonly device: string;
  readonly file: string;
}

/** An empty sparse device of `bytes`. */
export function loopDevice(bytes: number): LoopDevice {
  const folder = mkdtempSync(`${tmpdir()}/rbdsr-lvm-`);
  const file = `${folder}/disk.img`;
  const fd = openSync(file, 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
  const loop = attachLoop(file);
  return {
    ...loop,
    [Symbol.dispose]: () => {
      loop[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Puts a loop device over a file that exists; disposing detaches the device and keeps the file. */
export function attachLoop(file: string): LoopDevice {
  const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  return { device, file, [Symbol.dispose]: () => void execFileSync('losetup', ['--detach', device]) };
}

/**
 * From this byte on, every read of the device fails with EIO from now on: its file ends there, and no page cache hides
 * it.
 */
export function makeUnreadable({ device, file }: Pick<LoopDevice, 'device' | 'file'>, fromByte: number): void {
  execFileSync('losetup', ['--direct-io=on', device]);
  truncateSync(file, fromByte);
}
