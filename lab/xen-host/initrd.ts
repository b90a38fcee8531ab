import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type CpioEntry, cpioArchive, FILE, FOLDER, PROGRAM } from './cpio.ts';
import { type LabKernel, moduleFiles } from './kernel.ts';
import { localFiles } from './local-files.ts';

/** Programs of this machine that no dom0 has. */
const NEVER_IN_DOM0 = ['node', 'nodejs', 'npm', 'npx', 'corepack'];
const CEPH_TOOLS = ['ceph', 'rbd', 'rados', 'rbd-nbd', 'rbd-replay', 'ceph-fuse', 'cephfs-shell'];
const PROGRAM_FOLDERS = ['usr/bin', 'usr/sbin', 'usr/local/bin', 'usr/local/sbin'];
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_net'];

export interface Dom0InitrdOptions {
  /** The agent's bundle, put at /run/lab/agent.cjs. */
  readonly agent: Uint8Array;
  /** Run as the first process of dom0's own root. */
  readonly start: string;
  readonly keepCephTools: boolean;
}

/** What mounts this machine's root read-only over 9p, lays a tmpfs with the most used files on it, and starts dom0's own first process there. */
export async function dom0Initrd(kernel: LabKernel, o: Dom0InitrdOptions): Promise<Buffer> {
  const modules = await moduleFiles(kernel, MODULES);
  const hidden = [...NEVER_IN_DOM0, ...(o.keepCephTools ? [] : CEPH_TOOLS)];
  return cpioArchive([
    ...busyboxRoot(modules),
    ...(await localFiles('local')),
    { path: 'init', mode: PROGRAM, data: Buffer.from(initScript(modules, hidden)) },
    { path: 'agent.cjs', mode: FILE, data: o.agent },
    { path: 'start', mode: PROGRAM, data: Buffer.from(o.start) },
  ]);
}

/** Folders, a static busybox and kernel modules (at /modules). */
export function busyboxRoot(modules: readonly string[]): CpioEntry[] {
  const folders = ['bin', 'dev', 'proc', 'sys', 'modules', 'host', 'upper', 'new', 'local'];
  return [
    ...folders.map((path) => ({ path, mode: FOLDER })),
    { path: 'bin/busybox', mode: PROGRAM, data: readFileSync('/usr/bin/busybox') },
    ...modules.map((path) => ({ path: `modules/${basename(path)}`, mode: FILE, data: readFileSync(path) })),
  ];
}

/** The head of such a root's /init: busybox's commands, the kernel's file systems, the modules. */
export function initHead(modules: readonly string[]): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
${modules.map((path) => `insmod /modules/${basename(path)}`).join('\n')}
`;
}

function initScript(modules: readonly string[], hidden: readonly string[]): string {
  const unwanted = PROGRAM_FOLDERS.flatMap((folder) => hidden.map((name) => `/new/${folder}/${name}`));
  return `${initHead(modules)}mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || exec sh
mount -t tmpfs -o size=1g tmpfs /upper
mkdir /upper/root /upper/work
cp -a /local/. /upper/root/
mount -t overlay -o lowerdir=/host,upperdir=/upper/root,workdir=/upper/work overlay /new || exec sh
rm -f ${unwanted.join(' ')}
mkdir -p /new/mnt/host
mount --move /host /new/mnt/host
mount --move /proc /new/proc
mount --move /sys /new/sys
mount --move /dev /new/dev
mount -t tmpfs tmpfs /new/run
mkdir /new/run/lab
cp /agent.cjs /start /new/run/lab/
exec switch_root /new /run/lab/start </dev/console >/dev/console 2>&1
`;
}
