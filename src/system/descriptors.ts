import { readFileSync, readlinkSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { namesIn } from './files.ts';
import { isPrompt, type Mount, mountsOf } from './mounts.ts';
import { PROCESS_GONE } from './processes.ts';

/**
 * Looks at the open descriptors of other processes without ever waiting for one. A stat of `/proc/<pid>/fd/<n>` is a
 * request to the file system of whatever is open there, and a dead server of NFS, SMB or FUSE never answers one: a file
 * is only asked where its mount is known, and is one that answers from memory.
 */
export class DescriptorLook {
  readonly #namespace = linkOf('/proc/self/ns/mnt');
  readonly #own = mountsById('self');

  /** What `pid` has open, as far as it can be asked. */
  files(pid: number): readonly Stats[] {
    const mounts = linkOf(`/proc/${pid}/ns/mnt`) === this.#namespace ? this.#own : mountsById(pid);
    return namesIn(`/proc/${pid}/fd`, PROCESS_GONE).flatMap((fd) => statIfPrompt(pid, fd, mounts));
  }
}

function statIfPrompt(pid: number, fd: string, mounts: ReadonlyMap<number, Mount>): readonly Stats[] {
  const path = linkOf(`/proc/${pid}/fd/${fd}`);
  // Pipes, sockets and the kernel's own objects have no path.
  if (path === undefined || !path.startsWith('/')) return [];
  const id = mountIdOf(pid, fd);
  const mount = id === undefined ? undefined : mounts.get(id);
  // A mount that is not listed may have been cut off (umount -l), as is done with a server that is dead.
  if (id === undefined ? !path.startsWith('/dev/') : mount === undefined || !isPrompt(mount)) return [];
  try {
    return [statSync(`/proc/${pid}/fd/${fd}`)];
  } catch {
    // Closed, or its process ended, between the listing and the look.
    return [];
  }
}

/** Undefined before Linux 3.15. */
function mountIdOf(pid: number, fd: string): number | undefined {
  try {
    const [, id] = /^mnt_id:\s*([0-9]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? [];
    return id === undefined ? undefined : Number(id);
  } catch {
    return -1;
  }
}

function mountsById(pid: number | 'self'): ReadonlyMap<number, Mount> {
  return new Map(mountsOf(pid).map((mount) => [mount.id, mount]));
}

/** A link of /proc is text of the kernel's; what it leads to is not asked. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
