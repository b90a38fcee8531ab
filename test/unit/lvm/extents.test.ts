import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extentIo } from '../../../src/lvm/extents.ts';
import type { LvReport, LvSegment } from '../../../src/lvm/report.ts';
import { memoryIo } from '../../support/lvhd-memory-io.ts';

const EXTENT = 64;

function lv(extents: readonly number[], changes: Partial<LvSegment> = {}): LvReport {
  const segments = extents.map((extent, index) => ({
    startBytes: index * EXTENT,
    lengthBytes: EXTENT,
    pv: '/dev/x',
    pvOffsetBytes: 100 + extent * EXTENT,
    type: 'linear',
    ...changes,
  }));
  return {
    name: 'VHD-x',
    sizeBytes: extents.length * EXTENT,
    active: false,
    open: false,
    readOnly: false,
    tags: [],
    segments,
  };
}

describe('extentIo', () => {
  it('is the concatenation of its extents, and touches no other byte', async () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 5 * EXTENT }), fc.integer({ min: 0, max: 5 * EXTENT }));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 5, maxLength: 5 }),
        range,
        async (extents, [a, b]) => {
          const [from, to] = a < b ? [a, b] : [b, a];
          const pv = memoryIo(100 + 10 * EXTENT);
          for (let n = 0; n < pv.size; n += 1) pv.bytes[n] = n % 251;
          const before = Buffer.from(pv.bytes);
          const flat = Buffer.concat(extents.map((e) => before.subarray(100 + e * EXTENT, 100 + (e + 1) * EXTENT)));
          const io = extentIo(pv, lv(extents));
          expect((await io.read(from, to - from)).equals(flat.subarray(from, to))).toBe(true);
          const data = Buffer.alloc(to - from, 255);
          await io.write(from, data);
          expect((await io.read(from, to - from)).equals(data)).toBe(true);
          expect(pv.bytes.reduce((n, byte, at) => n + (byte === before[at] ? 0 : 1), 0)).toBe(to - from);
        },
      ),
    );
  });

  it('ends where the LV ends', async () => {
    const io = extentIo(memoryIo(4096), lv([3, 1]));
    expect(io.size).toBe(2 * EXTENT);
    await expect(io.read(2 * EXTENT - 1, 2)).rejects.toMatchObject({ code: 'io' });
    await expect(io.write(-1, Buffer.alloc(1))).rejects.toMatchObject({ code: 'io' });
  });

  it('refuses what it would read wrongly, by name', () => {
    const pv = memoryIo(4096);
    expect(() => extentIo(pv, lv([0], { type: 'striped' }))).toThrow(/VHD-x.*striped/);
    expect(() => extentIo(pv, { ...lv([0, 1]), sizeBytes: 3 * EXTENT })).toThrow(
      expect.objectContaining({ code: 'vdi-unavailable' }),
    );
    expect(() => extentIo(pv, { ...lv([]), sizeBytes: EXTENT })).toThrow(/no segment/);
  });
});
