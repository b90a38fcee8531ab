import { existsSync, readdirSync } from 'node:fs';
import { check } from '../machine/program.ts';

/** The Debian kernel that dom0 and its guests run. */
export interface LabKernel {
  readonly release: string;
  readonly path: string;
}

export function labKernel(): LabKernel {
  const releases = readdirSync('/lib/modules').filter((release) => existsSync(kernelPath(release)));
  const [release] = releases.sort().reverse();
  if (release === undefined)
    throw new Error('no kernel: /boot/vmlinuz-* with its /lib/modules (package linux-image-amd64)');
  return { release, path: kernelPath(release) };
}

/** The files of these modules and of all they need, in the order they must be loaded. */
export async function moduleFiles(kernel: LabKernel, names: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  for (const name of names) {
    const lines = (await check(['modprobe', '-S', kernel.release, '-D', name])).split('\n');
    for (const line of lines) if (line.startsWith('insmod ')) files.add(line.split(' ')[1] ?? '');
  }
  return [...files];
}

function kernelPath(release: string): string {
  return `/boot/vmlinuz-${release}`;
}
