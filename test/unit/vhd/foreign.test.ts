import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { MiB } from '../../../src/base/units.ts';
import { openChain } from '../../../src/vhd/chain/chain.ts';
import { readHeaderSummary } from '../../../src/vhd/format/header-summary.ts';
import { FixedVhd, openForeign } from '../../../src/vhd/image/fixed.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { fileIo } from './file-io.ts';

// What hosts take and no SR holds: it is looked at, and neither served, written nor taken for a disk of an SR.

const FIELD = join(import.meta.dirname, '../../fixtures/field/field.tar.xz');
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-foreign-'));
beforeAll(() => void execFileSync('tar', ['-xJf', FIELD, '-C', folder]));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (file: string): BlockIo => fileIo(join(folder, file));
const refused = (found: RegExp) => ({ code: 'vhd-corrupt', message: expect.stringMatching(found) });

describe.each([
  ['fixed/hyperv.vhd', /footer.diskType .* expected 3 \(dynamic\) or 4 \(differencing\); found 2 \(fixed\)/],
  ['blocks/512k.vhd', /block size .* expected 2097152; found 524288, which no SR holds/],
])('%s', (file, found) => {
  test.each(['read', 'write'] as const)('is not opened to %s it for a guest', async (mode) => {
    await expect(VhdImage.open(open(file), mode)).rejects.toMatchObject(refused(found));
    const noParent = async (): Promise<never> => Promise.reject(new Error('it has no parent'));
    await expect(openChain(open(file), mode, noParent)).rejects.toMatchObject(refused(found));
  });

  test('can be looked at, and that alone', async () => {
    const image = await openForeign(open(file));
    expect(image.virtualSizeBytes).toBe(file.startsWith('fixed') ? 4 * MiB : 3 * MiB);
    expect(image instanceof FixedVhd).toBe(file.startsWith('fixed'));
    await expect(VhdImage.open(open(file), 'write', { foreign: true })).rejects.toMatchObject({ code: 'internal' });
  });
});

test('is no disk of an SR to a scan', async () => {
  const blocks = open('blocks/512k.vhd');
  await expect(readHeaderSummary(blocks)).rejects.toMatchObject(refused(/which no SR holds/));
  const fixed = await open('fixed/hyperv.vhd').read(4 * MiB, 512);
  const copied: BlockIo = {
    ...blocks,
    read: async (offset, length) => Buffer.concat([fixed, (await blocks.read(offset, length)).subarray(512)]),
  };
  await expect(readHeaderSummary(copied)).rejects.toMatchObject(refused(/found 2 \(fixed\), which no SR holds/));
});

test('is no parent of a disk that is served', async () => {
  const parent = async (): Promise<BlockIo> => open('fixed/hyperv.vhd');
  await expect(openChain(open('fixed/child.vhd'), 'read', parent)).rejects.toMatchObject(refused(/2 \(fixed\)/));
  const chain = await openChain(open('fixed/child.vhd'), 'read', parent, { foreign: true });
  expect((await chain.read(0, 512)).equals(await open('fixed/hyperv.vhd').read(0, 512))).toBe(true);
});

test('content that begins like a VHD is content: a fixed disk has its footer at the end alone', async () => {
  const content = open('fixed/hyperv.vhd');
  const inner = await open('headers/sound.vhd').read(0, 512);
  const io: BlockIo = {
    ...content,
    read: async (offset, length) => (offset === 0 && length === 512 ? inner : content.read(offset, length)),
  };
  expect((await openForeign(io)) instanceof FixedVhd).toBe(true);
  // A volume that ends in the footer of another disk is not that disk: the copy counts.
  const grown: BlockIo = {
    ...io,
    size: io.size + 512,
    read: async (offset, length) => (offset === io.size ? content.read(4 * MiB, 512) : io.read(offset, length)),
  };
  await expect(openForeign(grown)).rejects.toMatchObject({ code: 'vhd-corrupt' });
});
