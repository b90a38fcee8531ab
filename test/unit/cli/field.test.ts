import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { runCli } from './run-cli.ts';

// VHDs as people really have them: foreign, odd and damaged ones, with what is right for each command
// (test/fixtures/field/README.md).

interface Entry {
  readonly file: string;
  readonly command: string;
  readonly what: string;
  readonly right: { readonly exit?: number; readonly sha256_of_content?: string; readonly stdout?: string };
}

const FIXTURES = join(import.meta.dirname, '../../fixtures/field');
/** Fixed disks and blocks of 512 KiB are not read yet. */
const NOT_READ = /^(fixed\/(azure|hyperv|child)|blocks\/512k)\.vhd$/;
const entries = (JSON.parse(readFileSync(join(FIXTURES, 'manifest.json'), 'utf8')) as readonly Entry[]).filter(
  ({ file, command }) => command.startsWith('vhd ') && !NOT_READ.test(file),
);

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-field-'));
const product = join(folder, 'product');
beforeAll(() => {
  execFileSync('tar', ['-xJf', join(FIXTURES, 'field.tar.xz'), '-C', folder]);
  placeBuiltProduct(product);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(entries)('$command $file', async ({ file, command, right }) => {
  const [group = '', verb = '', ...more] = command.split(' ');
  const { code, sha256, bytes } = await runCli(product, [group, verb, file, ...more], folder);
  if (right.exit !== undefined) expect(code).toBe(right.exit);
  expect([0, 1]).toContain(code);
  if (right.sha256_of_content !== undefined) expect(sha256).toBe(right.sha256_of_content);
  if (right.stdout === '') expect(bytes).toBe(0);
});
