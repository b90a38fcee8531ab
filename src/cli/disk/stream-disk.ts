import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { BlockIo } from '../../base/block-io.ts';
import { MiB } from '../../base/units.ts';

const CHUNK_BYTES = 2 * MiB;

/**
 * Writes all of `disk` to `out`, no faster than its reader takes it: at most one chunk is read ahead, whatever the
 * disk's size.
 */
export async function streamDisk(disk: Pick<BlockIo, 'size' | 'read'>, out: Writable): Promise<void> {
  for (let offset = 0; offset < disk.size; offset += CHUNK_BYTES) {
    const chunk = await disk.read(offset, Math.min(CHUNK_BYTES, disk.size - offset));
    if (!out.write(chunk)) await once(out, 'drain');
  }
}
