import type { BlockIo } from '../../../src/base/block-io.ts';

export type Recorded = { readonly offset: number; readonly data: Buffer } | 'flush';

/** A disk in memory that remembers every write and flush, in the order in which they were handed in. */
export class RecordedIo implements BlockIo {
  readonly name: string;
  readonly bytes: Buffer;
  readonly log: Recorded[] = [];
  readonly reads: { readonly offset: number; readonly length: number }[] = [];
  /** Turns of the event loop a request takes, so that requests overlap. */
  turns: () => number = () => 0;
  /** Makes requests fail. */
  fails: (what: 'read' | 'write' | 'flush', offset: number) => boolean = () => false;
  closed = false;

  constructor(content: Buffer | number, name = 'memory') {
    this.bytes = typeof content === 'number' ? Buffer.alloc(content) : content;
    this.name = name;
  }

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#range(offset, length);
    this.reads.push({ offset, length });
    await this.#pass('read', offset);
    return Buffer.from(this.bytes.subarray(offset, offset + length));
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    this.#range(offset, data.length);
    const copy = Buffer.from(data);
    await this.#pass('write', offset);
    this.log.push({ offset, data: copy });
    this.bytes.set(copy, offset);
  }

  async flush(): Promise<void> {
    await this.#pass('flush', 0);
    this.log.push('flush');
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async #pass(what: 'read' | 'write' | 'flush', offset: number): Promise<void> {
    for (let left = this.turns(); left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
    if (this.fails(what, offset)) throw new Error(`${what} at ${offset} fails`);
  }

  #range(offset: number, length: number): void {
    if (offset < 0 || length < 0 || offset + length > this.bytes.length) {
      throw new Error(`${length} bytes at ${offset} of a disk of ${this.bytes.length}`);
    }
  }
}
