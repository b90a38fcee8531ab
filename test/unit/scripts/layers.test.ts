import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const { layerFaults } = (await import(
  pathToFileURL(join(import.meta.dirname, '../../../scripts/layers.mjs')).href
)) as { readonly layerFaults: (root: string) => readonly string[] };
const { folderFaults } = (await import(
  pathToFileURL(join(import.meta.dirname, '../../../scripts/folders.mjs')).href
)) as { readonly folderFaults: (root: string) => readonly string[] };

const TABLE = `
| folder | may import | holds |
|---|---|---|
| \`src/base\` | nothing | values |
| \`src/disk/parts\` | \`src/base\` | parts of it |
| \`src/disk\` | \`src/base\` | a disk |
| \`src/sm\` | \`src/base\` \`src/disk\` | commands |
| \`test\` | \`src\` | all of it |
`;

/** A small project that is as its table says. */
const SOUND = {
  'docs/layers.md': TABLE,
  'src/base/a.ts': 'export const a = 1;',
  'src/base/b.ts': "import { a } from './a.ts';\nexport const b = a;",
  'src/disk/disk.ts': "import { part } from './parts/part.ts';\nexport const disk = part;",
  'src/disk/_own.ts': 'export const own = 1;',
  'src/disk/parts/part.ts': "import { b } from '../../base/b.ts';\nexport const part = b;",
  'src/disk/parts/other.ts': 'export type Other = 1;',
  'src/sm/command.ts': "import { part } from '../disk/parts/part.ts';\nexport const command = part;",
  'src/sm/deep/one.ts': "import type { Other } from '../../disk/parts/other.ts';\nexport type One = Other;",
  'src/sm/deep/two.ts': "export const two = async () => (await import('../command.ts')).command;",
  'test/a.test.ts': "import { a } from '../src/base/a.ts';\nexport const tested = a;",
  'test/b.ts': 'export const b = 1;',
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rbdsr-layers-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
}

test('what is as the table says has no fault', () => {
  write(SOUND);
  expect(layerFaults(root)).toEqual([]);
});

test.each([
  [
    'a folder imports one that its row does not name',
    { 'src/base/a.ts': "import { disk } from '../disk/disk.ts';\nexport const a = disk;" },
    /^src\/base\/a\.ts imports src\/disk\/disk\.ts: src\/base may import only nothing/,
  ],
  [
    'so does a subfolder, which has the row of its folder',
    { 'src/disk/more/x.ts': "import { command } from '../../sm/command.ts';\nexport const x = command;" },
    /^src\/disk\/more\/x\.ts imports src\/sm\/command\.ts: src\/disk may import only src\/base/,
  ],
  [
    'a subfolder with a row of its own has only what that names',
    {
      'src/disk/parts/part.ts':
        "import { own } from '../_own.ts';\nimport { disk } from '../disk.ts';\nexport const part = [own, disk];",
    },
    /^src\/disk\/parts\/part\.ts imports src\/disk\/disk\.ts: src\/disk\/parts may import only src\/base/,
  ],
  [
    'a type counts like a value',
    { 'src/base/a.ts': "import type { Other } from '../disk/parts/other.ts';\nexport type A = Other;" },
    /^src\/base\/a\.ts imports src\/disk\/parts\/other\.ts/,
  ],
  [
    'so does what is exported on',
    { 'src/base/a.ts': "export { disk } from '../disk/disk.ts';" },
    /^src\/base\/a\.ts imports src\/disk\/disk\.ts/,
  ],
  [
    'so does what is loaded when it is needed',
    { 'src/base/a.ts': "export const a = async () => import('../disk/disk.ts');" },
    /^src\/base\/a\.ts imports src\/disk\/disk\.ts/,
  ],
  [
    'and the type of that',
    { 'src/base/a.ts': "export type A = typeof import('../disk/disk.ts');" },
    /^src\/base\/a\.ts imports src\/disk\/disk\.ts/,
  ],
  [
    'a file that begins with _ is used from the folder above, below or beside',
    { 'src/sm/deep/one.ts': "import { own } from '../../disk/_own.ts';\nexport const one = own;" },
    /^src\/sm\/deep\/one\.ts imports src\/disk\/_own\.ts: a file that begins with _ belongs to its folder alone/,
  ],
  [
    'what ships imports a test',
    { 'src/sm/command.ts': "import { b } from '../../test/b.ts';\nexport const command = b;" },
    /^src\/sm\/command\.ts imports test\/b\.ts/,
  ],
  [
    'a folder has no row',
    { 'src/new/x.ts': "import { a } from '../base/a.ts';\nexport const x = a;" },
    /^src\/new has no row/,
  ],
  ['a row has no folder', { 'docs/layers.md': `${TABLE}| \`src/gone\` | nothing | nobody |\n` }, /row for src\/gone/],
  [
    'imports of types go round in a circle',
    {
      'src/base/a.ts': "import type { B } from './b.ts';\nexport type A = B;\nexport const a = 1;",
      'src/base/b.ts': "import { a } from './a.ts';\nexport type B = 1;\nexport const b = a;",
    },
    /^a circle of imports: src\/base\/[ab]\.ts -> src\/base\/[ab]\.ts$/,
  ],
])('%s', (_what, change, fault) => {
  write({ ...SOUND, ...change });
  expect(layerFaults(root).some((line) => fault.test(line))).toBe(true);
});

const TOPS = {
  'lab/a.ts': '',
  'lab/b.ts': '',
  'bench/a.ts': '',
  'bench/b.ts': '',
  'scripts/a.mjs': '',
  'scripts/b.mjs': '',
};
const many = Object.fromEntries(Array.from({ length: 26 }, (_, index) => [`src/base/many/f${index}.ts`, '']));

test('folders and comments that can be taken in at a glance have no fault', () => {
  write({ ...SOUND, ...TOPS, 'src/base/a.ts': `// ${'x'.repeat(117)}\nexport const a = '${'x'.repeat(200)}';` });
  expect(folderFaults(root)).toEqual([]);
});

test.each([
  ['a folder of 26 files', many, 'src/base/many has 26 files side by side, more than 25'],
  ['a folder for one file', { 'src/base/one/x.ts': '' }, 'src/base/one is a folder for one file, src/base/one/x.ts'],
  [
    'a line of comment that is too wide',
    { 'src/base/a.ts': `const a = 1;\n  // ${'x'.repeat(116)}` },
    'src/base/a.ts:2 is a comment of 121 characters, more than 120',
  ],
  [
    'also within a longer one',
    { 'src/base/a.ts': `/**\n * ${'x'.repeat(120)}\n */` },
    'src/base/a.ts:2 is a comment of 123 characters, more than 120',
  ],
])('%s', (_what, change, fault) => {
  write({ ...SOUND, ...TOPS, ...change });
  expect(folderFaults(root)).toEqual([fault]);
});
