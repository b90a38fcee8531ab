import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';

/**
 * A disk that can be taken away from its clients for a moment, and put back as another chain of volumes that holds the
 * same: what they ask meanwhile waits.
 */
export class PausableIo implements BlockIo {
  readonly name: string;
  readonly size: number;
  /** Undefined while it is taken away. */
  #inner: BlockIo | undefined;
  #running = 0;
  #onIdle: (() => void) | undefined;
  /** Settled when those that wait may look again. */
  #gate: PromiseWithResolvers<void> | undefined;
  #isOver = false;

  constructor(inner: BlockIo) {
    this.name = inner.name;
    this.size = inner.size;
    this.#inner = inner;
  }

  get isPaused(): boolean {
    return this.#gate !== undefined;
  }

  get isOpen(): boolean {
    return this.#inner !== undefined;
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#through((io) => io.read(offset, length));
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#through((io) => io.write(offset, data));
  }

  flush(): Promise<void> {
    return this.#through((io) => io.flush());
  }

  /**
   * Waits for what is being done, flushes by `flush`, which is that of whoever uses this, and closes the disk. Where
   * that fails, it goes on as before; paused already, nothing happens.
   */
  async pause(flush: (io: BlockIo) => Promise<void>): Promise<void> {
    const io = this.#inner;
    if (this.#gate !== undefined || io === undefined) return;
    this.#gate = withResolvers();
    try {
      if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
      await flush(io);
    } catch (error) {
      this.#open();
      throw error;
    }
    this.#inner = undefined;
    await io.close();
  }

  /** With the disk as it is from now on. */
  resume(io: BlockIo): void {
    if (io.size !== this.size) {
      throw new RbdsrError('vdi-unavailable', {
        what: `${io.name} has another size than it had when it was paused`,
        expected: `${this.size} bytes`,
        found: `${io.size} bytes`,
      });
    }
    this.#inner = io;
    this.#open();
  }

  /** Those that wait for its end fail. */
  async close(): Promise<void> {
    this.#isOver = true;
    const io = this.#inner;
    this.#inner = undefined;
    this.#open();
    await io?.close();
  }

  async #through<T>(work: (io: BlockIo) => Promise<T>): Promise<T> {
    while (this.#gate !== undefined) await this.#gate.promise;
    const io = this.#inner;
    if (io === undefined || this.#isOver) throw new RbdsrError('io', { what: `${this.name} is closed` });
    this.#running += 1;
    try {
      return await work(io);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#onIdle?.();
    }
  }

  #open(): void {
    const gate = this.#gate;
    this.#gate = undefined;
    this.#onIdle = undefined;
    gate?.resolve();
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function withResolvers(): PromiseWithResolvers<void> {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
