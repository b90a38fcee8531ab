import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHeaderSummary } from '../../../src/vhd/format/header-summary.ts';
import { MACX, W2KU } from '../../../src/vhd/format/locator.ts';
import { parentAsScanned } from '../../../src/vhd/format/parent-names.ts';
import { RecordedIo } from './recorded-io.ts';
import { VectorFiles } from './vectors.ts';

const BEGIN = 1536;

let files: VectorFiles;
beforeAll(() => {
  files = new VectorFiles();
});
afterAll(() => files[Symbol.dispose]());

describe('the first 1536 bytes', () => {
  const begin = (name: string): RecordedIo => new RecordedIo(files.bytes(name).subarray(0, BEGIN));

  it('tell size, flags and parent', async () => {
    const summary = async (name: string): Promise<unknown> => {
      const { locators, ...rest } = await readHeaderSummary(begin(name));
      return { ...rest, locators: locators.length };
    };
    expect([await summary('mid'), await summary('rawchild'), await summary('hidden')]).toEqual([
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
    expect(await summary('rawchild')).not.toHaveProperty('parentUuid');
    expect(await summary('hidden')).not.toHaveProperty('parentName');
  });

  it('that are no VHD are refused', async () => {
    const corrupt = { code: 'vhd-corrupt' };
    await expect(readHeaderSummary(new RecordedIo(Buffer.alloc(BEGIN)))).rejects.toMatchObject(corrupt);
    await expect(readHeaderSummary(begin('bad-header-checksum'))).rejects.toMatchObject(corrupt);
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
