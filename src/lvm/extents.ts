import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { settled } from '../base/settle.ts';
import type { LvReport, LvSegment } from './report.ts';

/**
 * A logical volume read and written through its physical extents, without activating it: `pvIo` is the device of its
 * one physical volume. `close` leaves `pvIo` open. Never for an LV that is active somewhere with a write in flight:
 * nothing orders the two. 'vdi-unavailable' for an LV whose extents are not all linear and on one PV.
 */
export function extentIo(pvIo: BlockIo, lv: LvReport): BlockIo {
  const segments = checkedSegments(lv);
  const name = `${pvIo.name}[${lv.name}]`;
  return {
    name,
    size: lv.sizeBytes,
    async read(offset, length) {
      const pieces = locate(name, segments, lv.sizeBytes, offset, length);
      const parts = await settled(pieces.map((piece) => pvIo.read(piece.pvOffset, piece.length)));
      const [only] = parts;
      return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
    },
    async write(offset, data) {
      for (const piece of locate(name, segments, lv.sizeBytes, offset, data.length)) {
        await pvIo.write(piece.pvOffset, data.subarray(piece.from, piece.from + piece.length));
      }
    },
    flush: () => pvIo.flush(),
    close: async () => undefined,
  };
}

function checkedSegments(lv: LvReport): readonly LvSegment[] {
  const odd = lv.segments.find((segment) => segment.type !== 'linear' || segment.pv !== lv.segments[0]?.pv);
  const mapped = lv.segments.reduce(
    (end, segment) => (segment.startBytes === end ? end + segment.lengthBytes : Number.NaN),
    0,
  );
  if (odd === undefined && mapped === lv.sizeBytes) return lv.segments;
  throw new RbdsrError('vdi-unavailable', {
    what: `logical volume ${lv.name} cannot be read through its extents`,
    expected: `linear segments on one physical volume that cover ${lv.sizeBytes} bytes`,
    found: lv.segments.map((s) => `${s.type} ${s.startBytes}+${s.lengthBytes} on ${s.pv}`).join(', ') || 'no segment',
  });
}

function locate(name: string, segments: readonly LvSegment[], size: number, offset: number, length: number) {
  if (offset < 0 || length < 0 || offset + length > size) {
    throw new RbdsrError('io', {
      what: `${name}: bytes ${offset} to ${offset + length} lie outside its ${size} bytes`,
    });
  }
  const pieces: { readonly pvOffset: number; readonly from: number; readonly length: number }[] = [];
  for (const segment of segments) {
    const start = Math.max(offset, segment.startBytes);
    const end = Math.min(offset + length, segment.startBytes + segment.lengthBytes);
    if (start >= end) continue;
    pieces.push({
      pvOffset: segment.pvOffsetBytes + (start - segment.startBytes),
      from: start - offset,
      length: end - start,
    });
  }
  return pieces;
}
