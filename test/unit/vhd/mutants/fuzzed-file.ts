import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { ImageEdit } from './image-edit.ts';

/** A copy of a base that becomes one mutant after another: what was changed is put back each time. */
export class FuzzedFile implements Disposable {
  readonly path: string;
  readonly #fd: number;
  readonly #pristine: number;

  /** `pristine` is the descriptor of the base. */
  constructor(path: string, pristine: number) {
    this.path = path;
    this.#fd = openSync(path, 'r+');
    this.#pristine = pristine;
  }

  become(edit: ImageEdit): void {
    for (const { offset, bytes } of edit.patches) {
      const inside = Math.min(bytes.length, edit.size - offset);
      if (inside > 0) writeSync(this.#fd, bytes, 0, inside, offset);
    }
    ftruncateSync(this.#fd, edit.size);
  }

  restore(edit: ImageEdit): void {
    ftruncateSync(this.#fd, edit.fileBytes);
    for (const { offset, bytes } of edit.patches) this.#copyBack(offset, bytes.length, edit.fileBytes);
    if (edit.size < edit.fileBytes) this.#copyBack(edit.size, edit.fileBytes - edit.size, edit.fileBytes);
  }

  #copyBack(offset: number, length: number, fileBytes: number): void {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, fileBytes - offset)));
    if (bytes.length === 0) return;
    readSync(this.#pristine, bytes, 0, bytes.length, offset);
    writeSync(this.#fd, bytes, 0, bytes.length, offset);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
