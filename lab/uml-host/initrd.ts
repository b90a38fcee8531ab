import { type CpioEntry, cpioArchive, FILE, PROGRAM } from '../hosts/cpio.ts';
import { busyboxRoot, enterHost, initHead } from '../hosts/first-root.ts';
import type { UmlKernel } from './kernel.ts';

export interface UmlInitrdOptions {
  /** The agent's bundle, put at /run/lab/agent.cjs. */
  readonly agent: Uint8Array;
  /** Run as the first process of the host's own root. */
  readonly start: string;
}

/**
 * What shows this machine's root, read-only, and over it the host's own disk, which outlives a power cut. The logs are
 * a folder of that disk alone: this machine's do not show.
 */
export function umlInitrd(kernel: UmlKernel, o: UmlInitrdOptions): Buffer {
  const entries: readonly CpioEntry[] = [
    ...busyboxRoot(kernel.firstModules),
    { path: 'init', mode: PROGRAM, data: Buffer.from(initScript(kernel)) },
    { path: 'agent.cjs', mode: FILE, data: o.agent },
    { path: 'start', mode: PROGRAM, data: Buffer.from(o.start) },
  ];
  return cpioArchive(entries);
}

function initScript({ release, modules }: UmlKernel): string {
  return `${initHead([`/modules/overlay.ko`])}mount -t hostfs none /host -o ro,/ || exec sh
mount -t ext4 -o noinit_itable /dev/ubda /upper || exec sh
mkdir -p /upper/root/usr/lib/modules /upper/log
ln -sfn ${modules} /upper/root/usr/lib/modules/${release}
${enterHost().replace('mkdir -p /new/mnt/host', 'mkdir -p /new/mnt/host\nmount --bind /upper/log /new/var/log')}`;
}
