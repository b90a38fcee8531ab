import { type CpioEntry, cpioArchive, FILE, PROGRAM } from '../hosts/cpio.ts';
import { busyboxRoot, enterHost, initHead } from '../hosts/first-root.ts';
import { type LabKernel, moduleFiles } from './kernel.ts';
import { localFiles } from './local-files.ts';

const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_net'];

export interface Dom0InitrdOptions {
  /** The agent's bundle, put at /run/lab/agent.cjs. */
  readonly agent: Uint8Array;
  /** Run as the first process of dom0's own root. */
  readonly start: string;
}

/**
 * What mounts this machine's root read-only over 9p, lays a tmpfs with the most used files on it, and starts dom0's own
 * first process there.
 */
export async function dom0Initrd(kernel: LabKernel, o: Dom0InitrdOptions): Promise<Buffer> {
  const modules = await moduleFiles(kernel, MODULES);
  const entries: readonly CpioEntry[] = [
    ...busyboxRoot(modules),
    ...(await localFiles('local')),
    { path: 'init', mode: PROGRAM, data: Buffer.from(initScript(modules)) },
    { path: 'agent.cjs', mode: FILE, data: o.agent },
    { path: 'start', mode: PROGRAM, data: Buffer.from(o.start) },
  ];
  return cpioArchive(entries);
}

function initScript(modules: readonly string[]): string {
  return `${initHead(modules)}mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || exec sh
mount -t tmpfs -o size=1g tmpfs /upper
mkdir /upper/root
cp -a /local/. /upper/root/
${enterHost()}`;
}
