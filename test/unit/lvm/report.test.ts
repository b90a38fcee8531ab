import { describe, expect, it } from 'vitest';
import { parseLv, parseLvAttr, parseReport } from '../../../src/lvm/report.ts';

/**
 * `pvs --noheadings --nosuffix --units b --separator '|' -o <REPORT_FIELDS>` of LVM 2.03.16; LV a was made, then b,
 * then a was grown.
 */
const GROWN = `
  VG_x|WRhfCb-0zNx-Wy32-8p5A-NBvN-VBXP-Dy16FN|wz--n-|406847488|385875968|4194304|2|/dev/loop0|406847488|419430400|12582912|0|a|12582912|-wi-XX----|t1,t2|linear|0|8388608
  VG_x|WRhfCb-0zNx-Wy32-8p5A-NBvN-VBXP-Dy16FN|wz--n-|406847488|385875968|4194304|2|/dev/loop0|406847488|419430400|12582912|2|b|8388608|-ri-ao----||linear|0|8388608
  VG_x|WRhfCb-0zNx-Wy32-8p5A-NBvN-VBXP-Dy16FN|wz--n-|406847488|385875968|4194304|2|/dev/loop0|406847488|419430400|12582912|4|a|12582912|-wi-XX----|t1,t2|linear|8388608|4194304
  VG_x|WRhfCb-0zNx-Wy32-8p5A-NBvN-VBXP-Dy16FN|wz--n-|406847488|385875968|4194304|2|/dev/loop0|406847488|419430400|12582912|5||0|||free|0|385875968
`;
const EMPTY = `
  VG_x|WRhfCb-0zNx-Wy32-8p5A-NBvN-VBXP-Dy16FN|wz--n-|406847488|406847488|4194304|0|/dev/loop0|406847488|419430400|12582912|0||0|||free|0|406847488
`;

describe('parseReport', () => {
  it('puts the segments of an LV together', () => {
    const parsed = parseReport('VG_x', GROWN);
    expect(parsed?.missingLvs).toBe(0);
    expect(parsed?.report).toEqual({
      name: 'VG_x',
      uuid: 'WRhfCb-0zNx-Wy32-8p5A-NBvN-VBXP-Dy16FN',
      sizeBytes: 406_847_488,
      freeBytes: 385_875_968,
      extentSizeBytes: 4_194_304,
      partial: false,
      pvs: [{ name: '/dev/loop0', sizeBytes: 406_847_488, deviceSizeBytes: 419_430_400, dataStartBytes: 12_582_912 }],
      lvs: [
        {
          name: 'a',
          sizeBytes: 12_582_912,
          active: false,
          open: false,
          readOnly: false,
          tags: ['t1', 't2'],
          segments: [
            { startBytes: 0, lengthBytes: 8_388_608, pv: '/dev/loop0', pvOffsetBytes: 12_582_912, type: 'linear' },
            {
              startBytes: 8_388_608,
              lengthBytes: 4_194_304,
              pv: '/dev/loop0',
              pvOffsetBytes: 29_360_128,
              type: 'linear',
            },
          ],
        },
        {
          name: 'b',
          sizeBytes: 8_388_608,
          active: true,
          open: true,
          readOnly: true,
          tags: [],
          segments: [
            { startBytes: 0, lengthBytes: 8_388_608, pv: '/dev/loop0', pvOffsetBytes: 20_971_520, type: 'linear' },
          ],
        },
      ],
    });
  });

  it('one LV alone is what the whole report says of it, or nothing', () => {
    const whole = parseReport('VG_x', GROWN)?.report;
    if (whole === undefined) throw new Error('no report');
    // `lvs` with the columns LV_FIELDS.
    const alone = `
  VG_x|4194304|a|12582912|-wi-XX----|t1,t2|linear|8388608|4194304|/dev/loop0(4)
  VG_x|4194304|a|12582912|-wi-XX----|t1,t2|linear|0|8388608|/dev/loop0(0)
`;
    expect(parseLv(whole, 'a', alone)).toEqual(whole.lvs[0]);
    expect(parseLv(whole, 'b', alone)).toBeUndefined();
    expect(parseLv({ ...whole, name: 'VG_y' }, 'a', alone)).toBeUndefined();
    expect(parseLv(whole, 'a', alone.replaceAll('|4194304|a', '|8388608|a'))).toBeUndefined();
    for (const devices of ['/dev/loop1(4)', '/dev/loop0(4),/dev/loop0(9)', '']) {
      expect(parseLv(whole, 'a', alone.replace('/dev/loop0(4)', devices))).toBeUndefined();
    }
  });

  it('knows an empty VG, a bare PV and another VG', () => {
    expect(parseReport('VG_x', EMPTY)?.report.lvs).toEqual([]);
    expect(parseReport('VG_y', EMPTY)).toBeUndefined();
    expect(parseReport('VG_x', '  ||||||0|/dev/loop0|1|1|1|0||0||||0|0\n')).toBeUndefined();
    expect(parseReport('VG_x', '\n')).toBeUndefined();
  });

  it('sees a missing PV and LVs without extents', () => {
    const parsed = parseReport('VG_x', GROWN.replaceAll('wz--n-', 'wz-pn-').replaceAll('|4194304|2|', '|4194304|3|'));
    expect([parsed?.report.partial, parsed?.missingLvs]).toEqual([true, 1]);
  });

  it.each([
    ['a missing column', GROWN.replace('|linear|0|8388608', '|linear|0')],
    ['a size with a unit', GROWN.replaceAll('406847488', '388.00m')],
  ])('%s is refused', (_what, text) => {
    expect(() => parseReport('VG_x', text)).toThrow(expect.objectContaining({ code: 'metadata-corrupt' }));
  });

  it.each([
    ['-wi-a-----', true, false, false],
    ['-wi-ao----', true, true, false],
    ['-ri-------', false, false, true],
    ['-wi-XX----', false, false, false],
    ['-wi-s-----', false, false, false],
    ['-ri-a-', true, false, true],
  ])('attributes %s', (attr, active, open, readOnly) => {
    expect(parseLvAttr(attr)).toEqual({ active, open, readOnly });
  });
});
