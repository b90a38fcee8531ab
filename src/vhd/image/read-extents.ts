import type { BlockIo } from '../../base/block-io.ts';
import { ABSENT, type Extent } from './extents.ts';
import { BLOCK_BYTES } from '../format/header.ts';
import { settled } from '../../base/settle.ts';

/** Reads what an image lacks: whole sectors, bytes of its virtual disk. */
export type ReadBelow = (offset: number, length: number) => Promise<Buffer>;

/** More pieces than this and reading some bytes in vain costs less than a request per piece. */
const FEW = 4;

/** The bytes of `extents`, which are neighbours in order. One piece is handed out as it was read. */
export async function readExtents(io: BlockIo, extents: readonly Extent[], below: ReadBelow): Promise<Buffer> {
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
  const spans = spansOf(extents);
  const buffers = await settled(spans.map(async (span) => ({ span, bytes: await piece(span) })));
  for (const { span, bytes } of buffers) {
    for (const extent of extents) {
      if (!covers(span, extent)) continue;
      const from = extent.offset - span.offset;
      bytes.copy(out, extent.offset - first.offset, from, from + extent.length);
    }
  }
  return out;
}

/** One request for all absent pieces, and one per block for its present ones. */
function spansOf(extents: readonly Extent[]): Extent[] {
  const spans = new Map<number, Extent>();
  for (const extent of extents) {
    const key = keyOf(extent);
    const span = spans.get(key) ?? extent;
    spans.set(key, { ...span, length: extent.offset + extent.length - span.offset });
  }
  return [...spans.values()];
}

function covers(span: Extent, extent: Extent): boolean {
  return keyOf(span) === keyOf(extent);
}

/** Within a block, virtual and physical offsets run in step. */
function keyOf({ offset, at }: Extent): number {
  return at === ABSENT ? ABSENT : Math.floor(offset / BLOCK_BYTES);
}
