import { existsSync, rmdirSync } from 'node:fs';
import type { SrUuid } from '../base/ids.ts';
import { ensureDir, readIfExists, removeIfExists, writeFileAtomic } from '../system/files.ts';

/**
 * Signals between the processes that work on one SR on this host (sm `ipc.IPCFlag`): the flag is set while its file
 * exists.
 */
export type IpcFlag = 'abort' | 'success' | 'failure';
const FLAGS: readonly IpcFlag[] = ['abort', 'success', 'failure'];

export class IpcFlags {
  readonly #folder: string;

  constructor(sr: SrUuid, root = '/var/run/sm/ipc') {
    this.#folder = `${root}/${sr}`;
  }

  isSet(flag: IpcFlag): boolean {
    return readIfExists(`${this.#folder}/${flag}`) !== undefined;
  }

  /** The file holds the pid of who has set it: where that one is gone the flag is taken away. */
  isSetByLiving(flag: IpcFlag): boolean {
    const text = readIfExists(`${this.#folder}/${flag}`);
    if (text === undefined) return false;
    const [, pid] = /^([1-9][0-9]{0,6})\s*$/.exec(text) ?? [];
    if (pid === undefined || existsSync(`/proc/${pid}`)) return true;
    this.clear(flag);
    return false;
  }

  /** False where it was set already: then it stays the other process's. */
  set(flag: IpcFlag): boolean {
    if (this.isSet(flag)) return false;
    ensureDir(this.#folder, 0o755);
    writeFileAtomic(`${this.#folder}/${flag}`, `${process.pid}\n`, 0o644);
    return true;
  }

  clear(flag: IpcFlag): void {
    removeIfExists(`${this.#folder}/${flag}`);
  }

  /** At sr_attach and sr_detach. */
  clearAll(): void {
    for (const flag of FLAGS) this.clear(flag);
    try {
      rmdirSync(this.#folder);
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}
