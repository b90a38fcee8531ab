import type { BlockIo } from '../../../src/base/block-io.ts';

/** A disk in memory whose requests finish when the test says, if it says so. */
export class MemoryDisk implements BlockIo {
  readonly name = 'memory';
  readonly size: number;
  readonly bytes: Buffer;
  flushes = 0;
  running = 0;
  mostRunning = 0;
  bytesRead = 0;
  bytesWritten = 0;
  failWith: Error | undefined;
  #gate: Promise<void> | undefined;
  #open: (() => void) | undefined;

  constructor(size: number) {
    this.size = size;
    this.bytes = Buffer.alloc(size);
  }

  hold(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  release(): void {
    this.#gate = undefined;
    this.#open?.();
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#serve(() => {
      this.bytesRead += length;
      return Buffer.from(this.bytes.subarray(offset, offset + length));
    });
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#serve(() => {
      this.bytesWritten += data.length;
      this.bytes.set(data, offset);
    });
  }

  flush(): Promise<void> {
    return this.#serve(() => {
      this.flushes += 1;
    });
  }

  async close(): Promise<void> {}

  async #serve<T>(action: () => T): Promise<T> {
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await this.#gate;
      if (this.failWith !== undefined) throw this.failWith;
      return action();
    } finally {
      this.running -= 1;
    }
  }
}
