import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { readHeaderSummary } from '../../../src/vhd/format/header-summary.ts';
import { fileIo } from './file-io.ts';

// What a scan of an SR makes of early, interrupted and foreign disks (test/fixtures/field/README.md). One that cannot
// be read would keep the records of all others as they are.

const FIELD = join(import.meta.dirname, '../../fixtures/field');
const SCAN = 'scan of an SR (first 1536 bytes)';
const entries = JSON.parse(readFileSync(join(FIELD, 'manifest.json'), 'utf8')) as readonly {
  readonly file: string;
  readonly command: string;
}[];

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-field-scan-'));
beforeAll(() => void execFileSync('tar', ['-xJf', join(FIELD, 'field.tar.xz'), '-C', folder]));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RIGHT: Readonly<Record<string, unknown>> = {
  'early/hidden-old-sum.vhd': { virtualSizeBytes: 4 * MiB, hidden: true, hasParent: false },
  'early/poisoned.vhd': { virtualSizeBytes: 4 * MiB, hidden: false, hasParent: false },
  'bat/header-far.vhd': { virtualSizeBytes: 4 * MiB, hidden: false, hasParent: false },
};

test('every such entry of the manifest is here', () => {
  const files = entries.filter(({ command }) => command === SCAN).map(({ file }) => file);
  expect(files.toSorted()).toEqual(Object.keys(RIGHT).toSorted());
});

test.each(Object.entries(RIGHT))('%s', async (file, right) => {
  const io = fileIo(join(folder, file));
  expect(await readHeaderSummary(io)).toMatchObject(right as object);
  await io.close();
});

test('a disk in the middle of a resize is marked as one where disks are looked at one by one', async () => {
  const io = fileIo(join(folder, 'early/poisoned.vhd'));
  expect((await checkVhd(io)).map(({ code }) => code)).toContain('cut-short');
  await io.close();
});

test('a header behind the end of its volume is damage', async () => {
  const io = fileIo(join(folder, 'bat/header-far.vhd'));
  const cut = { ...io, size: 64 * 1024 + 512 };
  await expect(readHeaderSummary(cut)).rejects.toMatchObject({ code: 'vhd-corrupt' });
  await io.close();
});
