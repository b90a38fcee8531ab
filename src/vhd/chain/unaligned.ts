import { roundDown, SECTOR } from '../../base/units.ts';

interface Sectors {
  read(offset: number, length: number): Promise<Buffer>;
  write(offset: number, data: Uint8Array): Promise<void>;
}

/**
 * Writes of any alignment over one of whole sectors. Only those that need the rest of a sector are done one after
 * another; guests, whose writes are whole sectors, do not come here twice.
 */
export class UnalignedWriter {
  readonly #sectors: Sectors;
  #last: Promise<unknown> = Promise.resolve();

  constructor(sectors: Sectors) {
    this.#sectors = sectors;
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    if (offset % SECTOR === 0 && data.length % SECTOR === 0) return this.#sectors.write(offset, data);
    const turn = (): Promise<void> => this.#merge(offset, data);
    const done = this.#last.then(turn, turn);
    this.#last = done;
    return done;
  }

  async #merge(offset: number, data: Uint8Array): Promise<void> {
    const start = roundDown(SECTOR, offset);
    const end = Math.ceil((offset + data.length) / SECTOR) * SECTOR;
    const whole = Buffer.alloc(end - start);
    (await this.#sectors.read(start, SECTOR)).copy(whole, 0);
    if (end - start > SECTOR) (await this.#sectors.read(end - SECTOR, SECTOR)).copy(whole, end - SECTOR - start);
    whole.set(data, offset - start);
    await this.#sectors.write(start, whole);
  }
}
