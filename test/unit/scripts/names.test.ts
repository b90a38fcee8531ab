import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const EXPORTED = /^export (?:async )?(?:const|function|interface|class|type) (\w+)/gm;
/** What each command's module exports by agreement (src/sm/commands.ts). */
const OF_MANY = ['handler'];

/** Names that several files of a folder export, with the files. */
function doubled(sources: ReadonlyMap<string, string>): Readonly<Record<string, readonly string[]>> {
  const files: Record<string, string[]> = {};
  for (const [file, text] of sources)
    for (const [, name = ''] of text.matchAll(EXPORTED)) files[name] = [...(files[name] ?? []), file];
  return Object.fromEntries(Object.entries(files).filter(([name, in_]) => in_.length > 1 && !OF_MANY.includes(name)));
}

test('a name that is exported stands for one thing', () => {
  const names = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  expect(names.length).toBeGreaterThan(200);
  expect(doubled(new Map(names.map((name) => [name, readFileSync(join('src', name), 'utf8')])))).toEqual({});
});

test('one that stands for two is named', () => {
  const sources = new Map([
    ['vhd/header.ts', 'export const HEADER_BYTES = 1;\nexport interface Header {}\n'],
    ['metadata/layout.ts', 'const more = 1;\nexport const HEADER_BYTES = 2;\n'],
  ]);
  expect(doubled(sources)).toEqual({ HEADER_BYTES: ['vhd/header.ts', 'metadata/layout.ts'] });
});
