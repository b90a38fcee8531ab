import type { BlockIo } from '../../base/block-io.ts';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';

/** A device whose blocks are on OSDs, and how long these may take to answer. */
export interface Answering {
  readonly device: string;
  /** For people. */
  readonly mapped: string;
  /** At most. */
  readonly ms: number;
  readonly deadline: Deadline;
  /** What an error means with which they answered; without it, that they did not. */
  readonly refused?: (error: RbdsrError) => RbdsrError;
}

/**
 * What `work` gives, which is one read of the device; 'osd-unresponsive' where it is not answered in time, or where the
 * kernel has given up waiting (ETIMEDOUT). Work that is late goes on in a thread of the pool until the kernel lets it
 * go, and nobody waits for it.
 */
export async function answered<T>(work: Promise<T>, answering: Answering): Promise<T> {
  const { device, mapped, ms, deadline, refused } = answering;
  try {
    return await deadline.within(ms).race(work, `a read of 4 KiB from ${device}`);
  } catch (error) {
    work.catch(() => {});
    if (!hasCode(error, 'deadline', 'io')) throw error;
    if (refused !== undefined && error.code === 'io' && error.detail.facts?.['errno'] !== 'ETIMEDOUT') {
      throw refused(error);
    }
    throw new RbdsrError('osd-unresponsive', {
      what: `${mapped}, but the OSDs do not answer`,
      expected: 'one read of 4 KiB to be answered',
      found: error.message,
      todo: '`ceph -s` and `ceph osd tree` show the OSDs; check that this host reaches their public network (ports 6800 to 7568), with the same MTU.',
      facts: { device },
      cause: error,
    });
  }
}

/** One direct read of the device's first 4 KiB, and its size; closes it when the read has ended, however late. */
export async function readOnce(io: BlockIo): Promise<number> {
  try {
    await io.read(0, Math.min(PROBE_BYTES, io.size));
    return io.size;
  } finally {
    await io.close();
  }
}

const PROBE_BYTES = 4096;
