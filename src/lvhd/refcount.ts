import { rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { SrUuid, VdiUuid } from '../base/ids.ts';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { ensureDir, namesIn, readIfExists, removeIfExists, writeFileAtomic } from '../system/files.ts';
import { takeRecordLock } from '../system/locks/record-lock.ts';

/**
 * Why a volume is active on this host (sm `refcounter`): `normal` counts the reasons an ancestor has to stay active,
 * `binary` is 1 while the VDI itself is attached. The stock driver reads and writes the same files under the same lock.
 */
export interface RefCount {
  readonly normal: number;
  readonly binary: 0 | 1;
}

export interface RefCountPlaces {
  /** /var/run/sm/refcount. */
  readonly root: string;
  /** /var/lock/sm. */
  readonly lockRoot: string;
}

export const STOCK_PLACES: RefCountPlaces = { root: '/var/run/sm/refcount', lockRoot: '/var/lock/sm' };

/** How often a count is written whose folder vanishes. */
const ATTEMPTS = 20;

/**
 * The counts of one SR's volumes. `get` and `put` return the sum after the change, as stock's do: 1 means activate, 0
 * deactivate.
 */
export class RefCounts {
  readonly #sr: SrUuid;
  readonly #namespace: string;
  readonly #places: RefCountPlaces;
  readonly #deadline: Deadline;

  constructor(sr: SrUuid, options: { readonly deadline: Deadline; readonly places?: RefCountPlaces }) {
    this.#sr = sr;
    this.#namespace = `lvm-${sr}`;
    this.#places = options.places ?? STOCK_PLACES;
    this.#deadline = options.deadline;
  }

  /** Where this host keeps them. */
  static ofHost(
    { smRunDir, lockDir }: { readonly smRunDir: string; readonly lockDir: string },
    sr: SrUuid,
    deadline: Deadline,
  ): RefCounts {
    return new RefCounts(sr, { deadline, places: { root: `${smRunDir}/refcount`, lockRoot: lockDir } });
  }

  /** The same for undoing what went wrong (Deadline.forCleanUp). */
  forCleanUp(): RefCounts {
    return new RefCounts(this.#sr, { deadline: this.#deadline.forCleanUp(), places: this.#places });
  }

  /** The lock under which a count changes and the volume is activated or deactivated (sm `lvmcache.py`). */
  async locked<T>(vdi: VdiUuid, action: () => Promise<T>): Promise<T> {
    const path = `${this.#places.lockRoot}/${this.#namespace}/${safeName(vdi)}`;
    ensureDir(dirname(path), 0o755);
    const lock = await takeRecordLock(path, { wait: true, deadline: this.#deadline });
    try {
      return await action();
    } finally {
      await lock.release();
    }
  }

  /** One more reason. Call inside `locked`. */
  get(vdi: VdiUuid, kind: 'normal' | 'binary'): number {
    const { normal, binary } = this.read(vdi);
    return this.write(vdi, kind === 'binary' ? { normal, binary: 1 } : { normal: normal + 1, binary });
  }

  /** One reason less, never below none. Call inside `locked`. */
  put(vdi: VdiUuid, kind: 'normal' | 'binary'): number {
    const { normal, binary } = this.read(vdi);
    return this.write(vdi, kind === 'binary' ? { normal, binary: 0 } : { normal: Math.max(0, normal - 1), binary });
  }

  /** The volumes that have a count, by the names of their files. */
  counted(): readonly string[] {
    return namesIn(this.#folder());
  }

  /** 0 0 where there is no file. 'refcount' for one that does not hold two counts. */
  read(vdi: VdiUuid): RefCount {
    const text = readIfExists(this.#file(vdi));
    if (text === undefined) return { normal: 0, binary: 0 };
    const [, normal, binary] = /^([0-9]{1,9}) ([01])\s*$/.exec(text) ?? [];
    if (normal === undefined || binary === undefined) {
      throw new RbdsrError('refcount', {
        what: `the reference count ${this.#file(vdi)} is damaged`,
        expected: '"<count> <0|1>"',
        found: JSON.stringify(text.slice(0, 80)),
      });
    }
    return { normal: Number(normal), binary: binary === '1' ? 1 : 0 };
  }

  /**
   * Sets both counts and returns their sum; 0 0 removes the file. For undoing a snapshot's renames, under the SR lock.
   */
  write(vdi: VdiUuid, count: RefCount): number {
    const file = this.#file(vdi);
    if (count.normal === 0 && count.binary === 0) {
      removeIfExists(file);
      this.#dropEmptyFolder();
    } else {
      this.#writeFile(file, `${count.normal} ${count.binary}\n`);
    }
    return count.normal + count.binary;
  }

  /** Forgets every count of the SR: at the start of sr_attach and at the end of sr_detach. */
  reset(): void {
    for (const name of namesIn(this.#folder())) removeIfExists(`${this.#folder()}/${name}`);
    this.#dropEmptyFolder();
  }

  /**
   * Another volume's last count may take the folder away between our making it and our file in it: each volume has a
   * lock of its own.
   */
  #writeFile(file: string, text: string): void {
    for (let attempt = 1; ; attempt += 1) {
      try {
        ensureDir(dirname(file), 0o755);
        writeFileAtomic(file, text, 0o644);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === ATTEMPTS) throw error;
      }
    }
  }

  #folder(): string {
    return `${this.#places.root}/${this.#namespace}`;
  }

  #file(vdi: VdiUuid): string {
    return `${this.#folder()}/${safeName(vdi)}`;
  }

  #dropEmptyFolder(): void {
    try {
      rmdirSync(this.#folder());
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

/** Characters stock replaces in the name of a count (sm `refcounter._getSafeNames`). */
function safeName(name: string): string {
  return name.replaceAll(/[/*?\\]/g, '_');
}
