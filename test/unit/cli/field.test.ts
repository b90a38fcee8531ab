import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { SAYS } from './field-says.ts';
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
const entries = (JSON.parse(readFileSync(join(FIXTURES, 'manifest.json'), 'utf8')) as readonly Entry[]).filter(
  ({ command }) => command.startsWith('vhd '),
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
  const { code, sha256, bytes, head, stderr } = await runCli(product, [group, verb, file, ...more], folder);
  if (right.exit !== undefined) expect(code).toBe(right.exit);
  expect([0, 1]).toContain(code);
  if (right.sha256_of_content !== undefined) expect(sha256).toBe(right.sha256_of_content);
  if (right.stdout === '') expect(bytes).toBe(0);
  if (verb === 'cat') return;
  const says = SAYS[`${[verb, ...more].join(' ')} ${file}`];
  expect(says).toBeDefined();
  for (const fact of says ?? []) expect(`${head}${stderr}`.trimEnd()).toMatch(fact);
});

test.each([
  ['headers/full-is-partial.vhd', /the batmap calls block 0 full/],
  ['early/poisoned.vhd', /a resize that was cut short/],
  ['blocks/16m.vhd', /blocks of 16 MiB, which no host takes/],
])('vhd cat %s: nothing is printed that nobody can vouch for', async (file, says) => {
  const { code, bytes, stderr } = await runCli(product, ['vhd', 'cat', file], folder);
  expect({ code, bytes }).toEqual({ code: 1, bytes: 0 });
  expect(stderr).toMatch(says);
});

test('all of the manifest is here', () => {
  expect(entries).toHaveLength(128);
});
