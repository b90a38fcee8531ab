import { readIfExists, removeIfExists } from '../../system/files.ts';
import type { DataPathHost } from '../datapath-host.ts';
import type { Disk } from '../datapath.ts';

/** Run-time files of one disk's NBD server, all below `<runDir>/nbd`. */
export interface NbdFiles {
  readonly folder: string;
  /** What the server serves; it is there exactly while the server answers, and after a kill. */
  readonly state: string;
  readonly socket: string;
  /** Where the server takes orders (nbd-control.ts); no longer a path than the other socket's, which has 107 bytes. */
  readonly control: string;
  /** Whether every write that a server answered is on the disk (nbd-outcome.ts). */
  readonly outcome: string;
  /** Held by the server from its first moment to its last: who holds it is the server. */
  readonly lock: string;
  /** Taken while a free `/dev/nbd*` is looked for. */
  readonly devicesLock: string;
  /** The storage manager's log. */
  readonly log: string;
}

export function nbdFiles(host: DataPathHost, vdi: string): NbdFiles {
  const folder = `${host.paths.runDir}/nbd`;
  const base = `${folder}/${vdi}`;
  return {
    folder,
    state: `${base}.json`,
    socket: `${base}.sock`,
    control: `${base}.ctl`,
    outcome: `${base}.outcome`,
    lock: `${base}.lock`,
    devicesLock: `${folder}/devices.lock`,
    log: `${host.paths.root}/var/log/SMlog`,
  };
}

export interface NbdState extends Omit<Disk, 'memoryPool'> {
  readonly pid: number;
  /** Requests wait, and nothing of the disk is open. */
  readonly paused?: boolean;
  readonly device?: { readonly path: string; readonly major: number; readonly minor: number };
}

/** Undefined where there is none, or what is there was not written by us. */
export function readNbdState(path: string): NbdState | undefined {
  const text = readIfExists(path);
  if (text === undefined) return undefined;
  try {
    const state = JSON.parse(text) as NbdState;
    return Number.isInteger(state.pid) && typeof state.vdi === 'string' ? state : undefined;
  } catch {
    return undefined;
  }
}

/** What a dead server left. The lock file stays: a server that is just starting may have it open. */
export function removeNbdFiles(files: NbdFiles): void {
  for (const path of [files.state, files.socket, files.control]) removeIfExists(path);
}
