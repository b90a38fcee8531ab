import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type CpioEntry, FILE, FOLDER, PROGRAM } from './cpio.ts';

/** Programs of this machine that no dom0 has. */
const NEVER_IN_A_HOST = ['node', 'nodejs', 'npm', 'npx', 'corepack'];
const CEPH_TOOLS = ['ceph', 'rbd', 'rados', 'rbd-nbd', 'rbd-replay', 'ceph-fuse', 'cephfs-shell'];
const PROGRAM_FOLDERS = ['usr/bin', 'usr/sbin', 'usr/local/bin', 'usr/local/sbin'];

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

/**
 * The tail of a host's: from this machine's root (at /host) and a place for changes (/upper) to the first process of
 * the host's own root.
 */
export function enterHost(): string {
  const hidden = PROGRAM_FOLDERS.flatMap((folder) =>
    [...NEVER_IN_A_HOST, ...CEPH_TOOLS].map((name) => `/new/${folder}/${name}`),
  );
  return `mkdir -p /upper/root /upper/work
mount -t overlay -o lowerdir=/host,upperdir=/upper/root,workdir=/upper/work overlay /new || exec sh
rm -f ${hidden.join(' ')}
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
