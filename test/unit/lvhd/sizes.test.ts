import { describe, expect, it } from 'vitest';
import { MAX_VIRTUAL_SIZE, MAX_VIRTUAL_SIZES } from '../../../src/dom0/virtual-sizes.ts';
import { GiB, MiB, TiB } from '../../../src/base/units.ts';
import { acceptedVirtualSize, EMPTY_VHD_LV_SIZE, fullVhdLvSize, vhdOverheadEmpty } from '../../../src/lvhd/sizes.ts';

describe('sizes', () => {
  it('an empty VHD of 2 TiB of metadata', () => {
    expect(vhdOverheadEmpty(2 * TiB)).toBe(4_329_472);
    expect(EMPTY_VHD_LV_SIZE).toBe(8 * MiB);
  });

  it.each([
    [2 * MiB, 8],
    [10 * MiB, 16],
    [1 * GiB, 1032],
    [10 * GiB, 10_268],
    [100 * GiB, 102_608],
    [2040 * GiB, 2_093_048],
  ])('the full LV of a disk of %i bytes has %i MiB', (virtual, mib) => {
    expect(fullVhdLvSize(virtual) / MiB).toBe(mib);
  });

  it.each([
    [0, 2 * MiB],
    [1, 2 * MiB],
    [2 * MiB, 2 * MiB],
    [2 * MiB + 1, 4 * MiB],
    [MAX_VIRTUAL_SIZE, 2_190_433_320_960],
  ])('a request for %i bytes gets %i', (asked, given) => {
    expect(acceptedVirtualSize(asked)).toBe(given);
  });

  it.each([-1, MAX_VIRTUAL_SIZE + 1, 1.5, Number.NaN, 2 ** 60])('%d is refused', (asked) => {
    expect(() => acceptedVirtualSize(asked)).toThrow(expect.objectContaining({ code: 'vdi-size' }));
  });

  it('older hosts allow a little more', () => {
    expect(acceptedVirtualSize(MAX_VIRTUAL_SIZES['6.5'], MAX_VIRTUAL_SIZES['6.5'])).toBe(2_093_052 * MiB);
    expect(() => acceptedVirtualSize(MAX_VIRTUAL_SIZES['6.5'])).toThrow(expect.objectContaining({ code: 'vdi-size' }));
  });
});
