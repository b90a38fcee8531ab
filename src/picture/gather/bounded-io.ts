import type { BlockIo } from '../../base/block-io.ts';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';

/**
 * A device for looking only. A read that is not answered within `ms`, or by the deadline, is 'io' to whoever asked,
 * which costs him one disk: the thread that waits for it is left behind.
 */
export function boundedIo(io: BlockIo, deadline: Deadline, ms: number): BlockIo {
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const reading = io.read(offset, length);
    try {
      return await deadline.within(ms).race(reading, `a read of ${io.name}`);
    } catch (error) {
      reading.catch(() => {});
      if (!hasCode(error, 'deadline')) throw error;
      throw new RbdsrError('io', {
        what: `${io.name} has not answered a read of ${length} bytes at byte ${offset}: ${error.message}`,
        todo: '`ceph -s` tells whether placement groups are inactive.',
        cause: error,
      });
    }
  };
  return { name: io.name, size: io.size, read, write: refuse, flush: refuse, close: () => io.close() };

  async function refuse(): Promise<never> {
    throw new RbdsrError('internal', { what: `${io.name} is only looked at` });
  }
}
