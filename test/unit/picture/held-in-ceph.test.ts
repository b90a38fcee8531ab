import { expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import type { LvSegment } from '../../../src/lvm/report.ts';
import { heldInCeph } from '../../../src/picture/held-in-ceph.ts';
import { volume } from './sample.ts';

function extents(pvOffsetMiB: number, lengthMiB: number): LvSegment {
  return {
    startBytes: 0,
    lengthBytes: lengthMiB * MiB,
    pv: '/dev/rbd0',
    pvOffsetBytes: pvOffsetMiB * MiB,
    type: 'linear',
  };
}

test('each volume has what lies in its extents, a shared object its part for each', () => {
  const parts = [0, 8, 12, 40].map((offset) => ({ offset: offset * MiB, length: 4 * MiB }));
  const volumes = [
    volume('a', { segments: [extents(2, 8), extents(40, 8)] }),
    volume('b', { segments: [extents(10, 6)] }),
    volume('empty', { segments: [extents(20, 20)] }),
    volume('virtual'),
  ];
  expect(heldInCeph(parts, volumes)).toEqual({
    imageBytes: 16 * MiB,
    byVolume: { a: 8 * MiB, b: 6 * MiB, empty: 0, virtual: 0 },
  });
});

test('the same as byte by byte, wherever parts and volumes lie', () => {
  const [parts, held] = [[], []] as [{ offset: number; length: number }[], number[]];
  for (let at = 0; at < 400; at += 7) {
    const length = (at * 13) % 7;
    if (length > 0) parts.push({ offset: at, length });
    for (let byte = 0; byte < length; byte += 1) held.push(at + byte);
  }
  for (let start = 0; start < 400; start += 3) {
    const length = (start * 17) % 91;
    const segment = { ...extents(0, 0), pvOffsetBytes: start, lengthBytes: length };
    const inside = held.filter((byte) => byte >= start && byte < start + length).length;
    expect(heldInCeph(parts, [volume('v', { segments: [segment] })]).byVolume['v']).toBe(inside);
  }
});
