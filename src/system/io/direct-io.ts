import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { roundDown } from '../../base/units.ts';
import { alignedBuffer, isAligned } from './aligned-buffer.ts';
import type { DescriptorIo } from './descriptor-io.ts';
import { RangeGate } from '../../base/range-gate.ts';

/** Any alignment over a descriptor with O_DIRECT, which takes whole sectors in page-aligned memory only. */
export class DirectIo implements BlockIo {
  readonly name: string;
  readonly size: number;
  readonly #io: DescriptorIo;
  readonly #sector: number;
  readonly #gate = new RangeGate();

  /** `sector`: what offsets and lengths must be multiples of, bytes. */
  constructor(io: DescriptorIo, sector: number) {
    this.name = io.name;
    this.size = io.size;
    this.#io = io;
    this.#sector = sector;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#check('read', offset, length);
    const [start, end] = this.#sectors(offset, length);
    const buffer = alignedBuffer(end - start);
    await this.#readSectors(buffer, start);
    return buffer.subarray(offset - start, offset - start + length);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    this.#check('write', offset, data.length);
    const [start, end] = this.#sectors(offset, data.length);
    const whole = end - start === data.length;
    const pass = await this.#gate.enter(start, end, !whole);
    try {
      await this.#io.write(start, whole ? aligned(data) : await this.#merged(start, end, offset, data));
    } finally {
      this.#gate.leave(pass);
    }
  }

  flush(): Promise<void> {
    return this.#io.flush();
  }

  close(): Promise<void> {
    return this.#io.close();
  }

  /** `data` with what the device holds in the rest of its first and last sector. */
  async #merged(start: number, end: number, offset: number, data: Uint8Array): Promise<Buffer> {
    const buffer = alignedBuffer(end - start);
    const last = end - this.#sector;
    if (start !== offset || last === start) await this.#readSectors(buffer.subarray(0, this.#sector), start);
    if (last !== start && end !== offset + data.length) {
      const tail = alignedBuffer(this.#sector);
      await this.#readSectors(tail, last);
      tail.copy(buffer, last - start);
    }
    buffer.set(data, offset - start);
    return buffer;
  }

  #readSectors(buffer: Buffer, start: number): Promise<void> {
    return this.#io.readInto(buffer, start);
  }

  #sectors(offset: number, length: number): [start: number, end: number] {
    const start = roundDown(this.#sector, offset);
    return [start, Math.ceil((offset + length) / this.#sector) * this.#sector];
  }

  #check(verb: string, offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return;
    throw new RbdsrError('io', {
      what: `${verb} outside ${this.name}`,
      expected: `a range below ${this.size} bytes`,
      found: `${length} bytes at offset ${offset}`,
      facts: { device: this.name, verb, offset, length, errno: 'EINVAL' },
    });
  }
}

function aligned(data: Uint8Array): Uint8Array {
  if (isAligned(data)) return data;
  const copy = alignedBuffer(data.length);
  copy.set(data);
  return copy;
}
