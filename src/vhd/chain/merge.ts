import { RbdsrError } from '../../base/error.ts';
import { settled } from '../../base/settle.ts';
import { UNALLOCATED } from '../format/bat.ts';
import { ABSENT, type Extent } from '../image/extents.ts';
import { VhdImage } from '../image/image.ts';
import type { RawParent } from './open-parents.ts';

/** How many blocks are on their way at a time: enough to keep RADOS busy, 16 MiB of memory. */
const IN_FLIGHT = 8;
/** A block in more pieces than this is read in one request, from its first sector that is there to its last. */
const FEW = 4;

export interface MergeOptions {
  /** Asked before each block: where it is false no other is begun, and what is on its way is waited for. */
  readonly goesOn?: () => boolean | Promise<boolean>;
  /** After each block: how many of the child's are done, and how many it has. */
  readonly progress?: (done: number, all: number) => void;
}

/**
 * Writes what the child has into its parent, sector by sector where it has not all of a block, as `vhd-util coalesce`
 * does: the parent shows what the child showed. A parent that is smaller grows; 'vdi-size' where it cannot. What the
 * child has not stays as it is. Durable on return. False where it was stopped: what has come over does no harm below a
 * child that has it too.
 */
export async function mergeIntoParent(
  child: VhdImage,
  parent: VhdImage | RawParent,
  { goesOn, progress }: MergeOptions = {},
): Promise<boolean> {
  await grow(child, parent);
  const blocks = [...child.blockEntries.keys()].filter((block) => child.blockEntries[block] !== UNALLOCATED);
  const queue = blocks.values();
  let done = 0;
  let stopped = false;
  const copyNext = async (): Promise<void> => {
    for (const block of queue) {
      if (stopped) return;
      try {
        if ((await goesOn?.()) === false) stopped = true;
        if (stopped) return;
        await copyBlock(child, parent, block);
      } catch (error) {
        stopped = true;
        throw error;
      }
      done += 1;
      progress?.(done, blocks.length);
    }
  };
  await settled(Array.from({ length: IN_FLIGHT }, copyNext));
  if (stopped) return false;
  await (parent instanceof VhdImage ? parent.flush() : parent.io.flush());
  return true;
}

async function grow(child: VhdImage, parent: VhdImage | RawParent): Promise<void> {
  const { virtualSizeBytes } = child;
  if (virtualSizeBytes <= parent.virtualSizeBytes) return;
  if (parent instanceof VhdImage) return parent.resizeFast(virtualSizeBytes);
  throw new RbdsrError('vdi-size', {
    what: `${child.io.name} is larger than its raw parent ${parent.io.name}`,
    expected: `at most ${parent.virtualSizeBytes} bytes`,
    found: `${virtualSizeBytes} bytes`,
  });
}

async function copyBlock(child: VhdImage, parent: VhdImage | RawParent, block: number): Promise<void> {
  const { bytes } = child.form;
  const start = block * bytes;
  const extents = await child.extents(start, Math.min(bytes, child.virtualSizeBytes - start));
  const there = extents.filter(({ at }) => at !== ABSENT);
  const writer = parent instanceof VhdImage ? parent : parent.io;
  const write = ({ offset }: Extent, data: Buffer): Promise<void> => writer.write(offset, data);
  if (there.length <= FEW) {
    await settled(there.map(async (extent) => write(extent, await child.io.read(extent.at, extent.length))));
    return;
  }
  const [first, last] = [there[0], there.at(-1)];
  if (first === undefined || last === undefined) return;
  // Within a block the places of its sectors run in step with them.
  const span = await child.io.read(first.at, last.at + last.length - first.at);
  const partOf = ({ at, length }: Extent): Buffer => span.subarray(at - first.at, at - first.at + length);
  await settled(there.map((extent) => write(extent, partOf(extent))));
}
