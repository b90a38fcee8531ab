import { type VdiRecord, vdisOfSr } from '../xapi/vdi.ts';
import type { SrWork } from './work/work.ts';

/**
 * xapi's records of the disks of an SR, read once by a command that holds the SR's lock, as whoever introduces or
 * forgets a disk does. Names and the marks of hosts are written without it: they are as old as the reading.
 */
export class VdiRecords {
  #read: Promise<readonly VdiRecord[]> | undefined;

  of(work: SrWork): Promise<readonly VdiRecord[]> {
    this.#read ??= this.#ask(work);
    return this.#read;
  }

  /** The caller has changed one of them: whoever comes next reads them again. */
  changed(): void {
    this.#read = undefined;
  }

  async #ask(work: SrWork): Promise<readonly VdiRecord[]> {
    const { srRef } = work.subject;
    if (srRef === undefined) return [];
    try {
      return await vdisOfSr(await work.xapi(), srRef);
    } catch (error) {
      this.changed();
      throw error;
    }
  }
}
