import type { BlockIo } from '../../src/base/block-io.ts';
import { RbdsrError } from '../../src/base/error.ts';

export interface MemoryIo extends BlockIo {
  readonly bytes: Buffer;
  /** Every write and flush so far, in order. */
  readonly log: ({ readonly offset: number; readonly length: number } | 'flush')[];
}

/**
 * A device in memory that remembers the order of its writes. Handing in `stopAfter` cuts the power after so many of
 * them.
 */
export function memoryIo(size: number, options: { readonly stopAfter?: number } = {}): MemoryIo {
  const bytes = Buffer.alloc(size);
  const log: MemoryIo['log'] = [];
  const check = (offset: number, length: number): void => {
    if (offset < 0 || offset + length > size)
      throw new RbdsrError('io', { what: `memory: bytes ${offset}+${length} of ${size}` });
  };
  return {
    name: 'memory',
    size,
    bytes,
    log,
    async read(offset, length) {
      check(offset, length);
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
    async write(offset, data) {
      check(offset, data.length);
      if (log.filter((entry) => entry !== 'flush').length === options.stopAfter)
        throw new RbdsrError('io', { what: 'the power is off' });
      log.push({ offset, length: data.length });
      bytes.set(data, offset);
    },
    async flush() {
      log.push('flush');
    },
    close: async () => undefined,
  };
}
