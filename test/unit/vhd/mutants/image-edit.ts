import { readSync } from 'node:fs';
import type { BlockIo } from '../../../../src/base/block-io.ts';
import { RbdsrError } from '../../../../src/base/error.ts';

/** A file with other bytes here and there, or another length, that nobody has written. */
export class ImageEdit {
  readonly name: string;
  readonly fileBytes: number;
  readonly patches: { readonly offset: number; readonly bytes: Buffer }[] = [];
  size: number;
  readonly #fd: number;

  constructor(fd: number, fileBytes: number, name = 'mutant') {
    this.#fd = fd;
    this.fileBytes = fileBytes;
    this.size = fileBytes;
    this.name = name;
  }

  /** As they would be read; zeroes where there is nothing. */
  bytes(offset: number, length: number): Buffer {
    const out = Buffer.alloc(length);
    const there = Math.min(length, this.fileBytes - offset);
    if (offset >= 0 && there > 0) readSync(this.#fd, out, 0, there, offset);
    for (const patch of this.patches) {
      const from = Math.max(offset, patch.offset);
      const to = Math.min(offset + length, patch.offset + patch.bytes.length);
      if (from < to) patch.bytes.copy(out, from - offset, from - patch.offset, to - patch.offset);
    }
    return out;
  }

  patch(offset: number, bytes: Buffer): void {
    if (offset >= 0) this.patches.push({ offset, bytes });
  }

  /** Something is not as it is in the file. */
  get isChanged(): boolean {
    const pristine = new ImageEdit(this.#fd, this.fileBytes);
    const differs = ({ offset, bytes }: { readonly offset: number; readonly bytes: Buffer }): boolean =>
      offset < this.size && !this.bytes(offset, bytes.length).equals(pristine.bytes(offset, bytes.length));
    return this.size !== this.fileBytes || this.patches.some(differs);
  }

  /** To be read as the product reads a file. */
  io(): BlockIo {
    const refuse = async (): Promise<never> => {
      throw new Error('a mutant is only read');
    };
    return {
      name: this.name,
      size: this.size,
      read: async (offset, length) => {
        if (offset < 0 || length < 0 || offset + length > this.size) {
          throw new RbdsrError('io', { what: `${length} bytes at ${offset} of a file of ${this.size}` });
        }
        return this.bytes(offset, length);
      },
      write: refuse,
      flush: refuse,
      close: async () => {},
    };
  }
}
