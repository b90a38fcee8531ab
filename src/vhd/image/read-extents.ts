import type { BlockIo } from '../../base/block-io.ts';
import { ABSENT, type Extent } from './extents.ts';
import { settled } from '../../base/settle.ts';

/** Reads what an image lacks: whole sectors, bytes of its virtual disk. */
export type ReadBelow = (offset: number, length: number) => Promise<Buffer>;

/** More pieces than this and reading some bytes in vain costs less than a request per piece. */
const FEW = 4;

/**
 * The bytes of `extents`, which are neighbours in order, of an image with blocks of `blockBytes`. One piece is handed
 * out as it was read.
 */
export async function readExtents(
  io: BlockIo,
  extents: readonly Extent[],
  blockBytes: number,
  below: ReadBelow,
): Promise<Buffer> {
  const [first] = extents;
  const last = extents.at(-1);
  if (first === undefined || last === undefined) return Buffer.alloc(0);
  const piece = ({ offset, length, at }: Extent): Promise<Buffer> =>
    at === ABSENT ? below(offset, length) : io.read(at, length);
  if (extents.length === 1) return piece(first);
  const out = Buffer.allocUnsafe(last.offset + last.length - first.offset);
  const place = async (extent: Extent, from: Promise<Buffer>): Promise<void> => {
    (await from).copy(out, extent.offset - first.offset);
  };
  if (extents.length <= FEW) {
    await settled(extents.map((extent) => place(extent, piece(extent))));
    return out;
  }
  const spans = spansOf(extents, blockBytes);
  const read = async ([key, span]: readonly [number, Extent]) => [key, { span, bytes: await piece(span) }] as const;
  const pieces = new Map(await settled([...spans].map(read)));
  for (const extent of extents) {
    const found = pieces.get(keyOf(extent, blockBytes));
    const from = extent.offset - (found?.span.offset ?? 0);
    found?.bytes.copy(out, extent.offset - first.offset, from, from + extent.length);
  }
  return out;
}

/** One request for all absent pieces, and one per block for its present ones. */
function spansOf(extents: readonly Extent[], blockBytes: number): ReadonlyMap<number, Extent> {
  const spans = new Map<number, Extent>();
  for (const extent of extents) {
    const key = keyOf(extent, blockBytes);
    const span = spans.get(key) ?? extent;
    spans.set(key, { ...span, length: extent.offset + extent.length - span.offset });
  }
  return spans;
}

/** Within a block, virtual and physical offsets run in step. */
function keyOf({ offset, at }: Extent, blockBytes: number): number {
  return at === ABSENT ? ABSENT : Math.floor(offset / blockBytes);
}
