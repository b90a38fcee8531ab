import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { BlockIo } from '../../../src/base/block-io.ts';

/** A file as a BlockIo, without any of the product's own file access. */
export function fileIo(path: string, mode: 'read' | 'write' = 'read'): BlockIo {
  const fd = openSync(path, mode === 'read' ? 'r' : 'r+');
  const { size } = fstatSync(fd);
  return {
    name: path,
    size,
    async read(offset, length) {
      const buffer = Buffer.alloc(length);
      const count = readSync(fd, buffer, 0, length, offset);
      if (count !== length) throw new Error(`read ${count} of ${length} bytes at ${offset} of ${path}`);
      return buffer;
    },
    async write(offset, data) {
      if (offset + data.length > size) throw new Error(`write past the end of ${path}`);
      writeSync(fd, data, 0, data.length, offset);
    },
    flush: async () => {},
    close: async () => closeSync(fd),
  };
}
