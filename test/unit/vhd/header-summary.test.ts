import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEADER_SUMMARY_BYTES, summariseHeader } from '../../../src/vhd/format/header-summary.ts';
import { MACX, W2KU } from '../../../src/vhd/format/locator.ts';
import { parentAsScanned } from '../../../src/vhd/format/parent-names.ts';
import { VectorFiles } from './vectors.ts';

let files: VectorFiles;
beforeAll(() => {
  files = new VectorFiles();
});
afterAll(() => files[Symbol.dispose]());

describe('the first 1536 bytes', () => {
  it('tell size, flags and parent', () => {
    const summary = (name: string): unknown => {
      const { locators, ...rest } = summariseHeader(files.bytes(name).subarray(0, HEADER_SUMMARY_BYTES));
      return { ...rest, locators: locators.length };
    };
    expect([summary('mid'), summary('rawchild'), summary('hidden')]).toEqual([
      {
        uuid: '25cb28c5-b524-4c62-8e4d-80bf35fc1d36',
        virtualSizeBytes: 41_943_040,
        maxVirtualSizeBytes: 41_943_040,
        hidden: false,
        hasParent: true,
        parentUuid: '098227b7-f0bb-4f62-ae51-455b85352ea3',
        parentName: 'base.vhd',
        locators: 3,
      },
      expect.objectContaining({ parentName: 'rawbase.raw', hasParent: true }),
      expect.objectContaining({ hidden: true, hasParent: false, locators: 0 }),
    ]);
    expect(summary('rawchild')).not.toHaveProperty('parentUuid');
    expect(summary('hidden')).not.toHaveProperty('parentName');
  });

  it('that are no VHD are refused', () => {
    expect(() => summariseHeader(Buffer.alloc(HEADER_SUMMARY_BYTES))).toThrow(
      expect.objectContaining({ code: 'vhd-corrupt' }),
    );
    const bad = files.bytes('bad-header-checksum').subarray(0, HEADER_SUMMARY_BYTES);
    expect(() => summariseHeader(bad)).toThrow(expect.objectContaining({ code: 'vhd-corrupt' }));
  });

  it('name the LV of the parent as vhd-util scan does', () => {
    const dm = 'VG_XenStorage--aa--bb-VHD--cc--dd';
    expect(parentAsScanned({ name: dm, locators: [] })).toBe('VHD-cc-dd');
    expect(parentAsScanned({ name: '', locators: [] })).toBeUndefined();
    const locators = [
      { slot: 0, code: W2KU, path: './VG_XenStorage--aa-LV--ee' },
      { slot: 1, code: MACX, path: `./${dm}` },
    ];
    expect(parentAsScanned({ name: '', locators })).toBe('VHD-cc-dd');
  });
});
