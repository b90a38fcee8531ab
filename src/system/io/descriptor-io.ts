import { close, fdatasync, read, write } from 'node:fs';
import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { errnoName } from '../errno-name.ts';

/**
 * Reads and writes at offsets of an open descriptor, which it owns. Uses the callback forms of node:fs: they cost less
 * than those of node:fs/promises, and this is the data path of guests.
 */
export class DescriptorIo implements BlockIo {
  readonly name: string;
  readonly size: number;
  readonly #fd: number;
  #running = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(name: string, size: number, fd: number) {
    this.name = name;
    this.size = size;
    this.#fd = fd;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    await this.readInto(buffer, offset);
    return buffer;
  }

  /** Fills `buffer`. */
  readInto(buffer: Buffer, offset: number): Promise<void> {
    return this.#each('read', buffer, offset, read);
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#each('write', data, offset, write);
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin('flush', 0, 0);
      fdatasync(this.#fd, (error) => {
        this.#end();
        if (error === null) resolve();
        else reject(this.failure('flush', 0, this.size, error));
      });
    });
  }

  /** Waits for what runs: a descriptor closed under a request may become another file before the request starts. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    await new Promise<void>((resolve, reject) => {
      close(this.#fd, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(this.failure('close', 0, this.size, error));
      });
    });
  }

  failure(verb: string, offset: number, length: number, cause: NodeJS.ErrnoException): RbdsrError {
    const errno = errnoName(cause) ?? 'unknown';
    return new RbdsrError('io', {
      what: `${verb} of ${this.name} failed: ${errno} at offset ${offset}, ${length} bytes`,
      facts: { device: this.name, verb, offset, length, errno },
      cause,
    });
  }

  /** Calls `call` until all of `bytes` is done; the kernel may do less than asked. */
  #each(verb: 'read' | 'write', bytes: Uint8Array, offset: number, call: Transfer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin(verb, offset, bytes.length);
      let done = 0;
      const settle = (error: NodeJS.ErrnoException | undefined): void => {
        this.#end();
        if (error === undefined) resolve();
        else reject(this.failure(verb, offset, bytes.length, error));
      };
      const step = (error: NodeJS.ErrnoException | null, count: number): void => {
        if (error !== null) return settle(error);
        if (count === 0) return settle(Object.assign(new Error('end of device'), { code: 'end of device' }));
        done += count;
        return done === bytes.length ? settle(undefined) : next();
      };
      const next = (): void => call(this.#fd, bytes, done, bytes.length - done, offset + done, step);
      if (bytes.length === 0) settle(undefined);
      else next();
    });
  }

  #begin(verb: string, offset: number, length: number): void {
    if (this.#closed) throw this.failure(verb, offset, length, Object.assign(new Error('closed'), { code: 'closed' }));
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw new RbdsrError('io', {
        what: `${verb} outside ${this.name}`,
        expected: `a range below ${this.size} bytes`,
        found: `${length} bytes at offset ${offset}`,
        facts: { device: this.name, verb, offset, length, errno: 'EINVAL' },
      });
    }
    this.#running += 1;
  }

  #end(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#whenIdle?.();
  }
}

type Transfer = (
  fd: number,
  bytes: Uint8Array,
  start: number,
  length: number,
  position: number,
  done: (error: NodeJS.ErrnoException | null, count: number) => void,
) => void;
