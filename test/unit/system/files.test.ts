import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensureDir, namesIn, readIfExists, removeIfExists, writeFileAtomic } from '../../../src/system/files.ts';
import { readAttribute } from '../../../src/system/sysfs.ts';
import { writeAttribute } from '../../../src/system/waiting-sysfs.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-system-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('replaces a file, with the mode asked for whatever the umask', () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'old');
  chmodSync(path, 0o600);
  const umask = process.umask(0o077);
  try {
    writeFileAtomic(path, 'Größe', 0o644);
  } finally {
    process.umask(umask);
  }
  expect(readFileSync(path, 'utf8')).toBe('Größe');
  expect(statSync(path).mode & 0o777).toBe(0o644);
  writeFileAtomic(path, Uint8Array.of(0, 255), 0o600);
  expect([...readFileSync(path)]).toEqual([0, 255]);
});

test('leaves nothing behind when it cannot replace', () => {
  const place = join(folder, 'place');
  mkdirSync(join(place, 'target'), { recursive: true });
  expect(() => writeFileAtomic(join(place, 'target'), 'x', 0o600)).toThrow('EISDIR');
  expect(readdirSync(place)).toEqual(['target']);
});

test('tells absence from failure', () => {
  expect(readIfExists(join(folder, 'none'))).toBeUndefined();
  expect(readIfExists(join(folder, 'file/below'))).toBeUndefined();
  expect(() => readIfExists(folder)).toThrow('EISDIR');
  expect(namesIn(join(folder, 'none'))).toEqual([]);
  expect(() => namesIn(join(folder, 'file'))).toThrow('ENOTDIR');
  expect(namesIn(join(folder, 'file'), ['ENOTDIR'])).toEqual([]);
  writeFileSync(join(folder, 'gone'), '');
  expect(removeIfExists(join(folder, 'gone'))).toBe(true);
  expect(removeIfExists(join(folder, 'gone'))).toBe(false);
});

test('makes folders with their mode', () => {
  ensureDir(join(folder, 'a/b'), 0o700);
  ensureDir(join(folder, 'a/b'), 0o755);
  expect(statSync(join(folder, 'a/b')).mode & 0o777).toBe(0o700);
});

test('reads and writes attributes', async () => {
  expect(readAttribute('/sys/class/block/none/size')).toBeUndefined();
  expect(readAttribute('/sys/kernel/mm/transparent_hugepage/none')).toBeUndefined();
  writeFileSync(join(folder, 'attribute'), ' 12 \n');
  expect(readAttribute(join(folder, 'attribute'))).toBe('12');
  await writeAttribute(join(folder, 'attribute'), '13');
  expect(readAttribute(join(folder, 'attribute'))).toBe('13');
  await expect(writeAttribute('/sys/class/none', 'x')).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
});
