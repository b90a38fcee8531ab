import { RangeGate } from '../../base/range-gate.ts';
import { roundDown, roundUp, SECTOR } from '../../base/units.ts';

interface Sectors {
  read(offset: number, length: number): Promise<Buffer>;
  write(offset: number, data: Uint8Array): Promise<void>;
}

/**
 * Writes of any alignment over one of whole sectors. One that needs the rest of a sector reads it first: until it is
 * written again nobody else writes there, for what they wrote between the two would be lost.
 */
export class UnalignedWriter {
  readonly #sectors: Sectors;
  readonly #gate = new RangeGate();

  constructor(sectors: Sectors) {
    this.#sectors = sectors;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    const start = roundDown(SECTOR, offset);
    const end = roundUp(SECTOR, offset + data.length);
    const isWhole = start === offset && end === offset + data.length;
    const pass = await this.#gate.enter(start, end, !isWhole);
    try {
      await (isWhole ? this.#sectors.write(offset, data) : this.#merge(start, end, offset, data));
    } finally {
      this.#gate.leave(pass);
    }
  }

  async #merge(start: number, end: number, offset: number, data: Uint8Array): Promise<void> {
    const whole = Buffer.alloc(end - start);
    (await this.#sectors.read(start, SECTOR)).copy(whole, 0);
    if (end - start > SECTOR) (await this.#sectors.read(end - SECTOR, SECTOR)).copy(whole, end - SECTOR - start);
    whole.set(data, offset - start);
    await this.#sectors.write(start, whole);
  }
}
