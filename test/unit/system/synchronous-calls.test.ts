import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/**
 * docs/synchronous-calls.md says of every synchronous call in src why it cannot wait. Calls are found by what a file
 * imports.
 */
const ROOT = join(import.meta.dirname, '../../..');

/** Synchronous functions by the module that exports them; of Node's modules those whose names end in Sync. */
const OURS: Readonly<Record<string, readonly string[]>> = {
  'libc.ts': ['fcntl', 'ioctl', 'mknodBlock', 'addKey', 'keyctl'],
  'system-call.ts': ['systemCall'],
  'sysfs.ts': ['readAttribute'],
};

const IMPORT = /^import (?!type )([^;]+?) from '([^']+)';/gms;

function callsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].flatMap(([, names = '', module = '']) => {
    const imported = [...names.matchAll(/(?<!type )\b(\w+)(?: as \w+)?/g)].map(([, name]) => name ?? '');
    const file = module.slice(module.lastIndexOf('/') + 1);
    if (/^(?:node:)?(?:fs|child_process)$/.test(module)) {
      if (!names.startsWith('{')) return [`${names} from ${module}`];
      return imported.filter((name) => name.endsWith('Sync'));
    }
    return imported.filter((name) => OURS[file]?.includes(name) === true);
  });
}

function found(): string[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return files.flatMap((file) =>
    callsOf(readFileSync(join(ROOT, 'src', file), 'utf8')).map((call) => `${file}: ${call}`),
  );
}

/** Of each row: every call of it in every file of it. */
function documented(): { readonly pairs: ReadonlySet<string>; readonly files: ReadonlySet<string> } {
  const rows = readFileSync(join(ROOT, 'docs/synchronous-calls.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('.ts`'))
    .map((line) => line.split(' | '));
  const quoted = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? '');
  const pairs = rows.flatMap(([, files, calls]) =>
    quoted(files).flatMap((file) => quoted(calls).map((call) => `${file}: ${call}`)),
  );
  return { pairs: new Set(pairs), files: new Set(rows.flatMap(([, files]) => quoted(files))) };
}

test('every synchronous call of the product is in the table that says why it cannot wait', () => {
  const { pairs } = documented();
  expect(found().filter((pair) => !pairs.has(pair))).toEqual([]);
});

test('the table names no file that makes none', () => {
  const files = new Set(found().map((pair) => pair.slice(0, pair.indexOf(':'))));
  expect([...documented().files].filter((file) => !files.has(file))).toEqual([]);
});

test('a call is found however it is imported', () => {
  const text = [
    "import { existsSync, type Stats } from 'node:fs';",
    "import {\n  readFileSync as read,\n  watch,\n} from 'node:fs';",
    "import fs from 'node:fs';",
    "import type { fstatSync } from 'node:fs';",
    "import { ioctl, ioctlBlocking } from '../system/libc/libc.ts';",
  ].join('\n');
  expect(callsOf(text)).toEqual(['existsSync', 'readFileSync', 'fs from node:fs', 'ioctl']);
});
