import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCall } from '../../../src/xmlrpc/encode.ts';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { requestText } from '../sm/request-text.ts';

// The code of both workers as it ships: two files of parts each, of which most commands read the first alone.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-parts-'));
  placeBuiltProduct(join(folder, 'product'));
  mkdirSync(join(folder, 'root/etc'), { recursive: true });
  writeFileSync(join(folder, 'root/etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='host'\n");
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const WORKERS = ['sm', 'plugin'] as const;
const FILES = ['first', 'rest'] as const;

function fileOf(name: string, ending: 'cjs' | 'cache'): string {
  return join(folder, 'product', `${name}.${ending}`);
}

function compiled(name: string): Script {
  return new Script(readFileSync(fileOf(name, 'cjs'), 'latin1'), { cachedData: readFileSync(fileOf(name, 'cache')) });
}

test.each(WORKERS.flatMap((worker) => FILES.map((which) => `${worker}.${which}`)))(
  'V8 takes what it kept of the file %s',
  (which) => {
    expect(compiled(which).cachedDataRejected).toBe(false);
  },
);

type Exports = Readonly<Record<string, unknown>>;
type Part = (exports: object, requirePart: (wanted: string) => unknown, later: () => void) => void;

test.each(WORKERS)('every part of %s finds what it imports, and has made what it exports by then', (worker) => {
  const main = join(folder, `product/${worker}.cjs`);
  const outside = createRequire(main);
  const parts = new Map<string, Part>();
  for (const which of FILES) {
    const made = compiled(`${worker}.${which}`).runInThisContext() as (url: string) => Record<string, Part>;
    for (const [name, part] of Object.entries(made(pathToFileURL(main).href))) parts.set(name, part);
  }
  const evaluated = new Map<string, Exports | undefined>();
  const evaluate = (name: string): unknown => {
    if (!name.startsWith('./')) return outside(name);
    if (evaluated.has(name)) return evaluated.get(name);
    evaluated.set(name, undefined);
    const made: Exports = {};
    parts.get(name)?.(made, evaluate, () => undefined);
    evaluated.set(name, made);
    return made;
  };
  // The entry would answer a call.
  for (const name of parts.keys()) if (name !== './main.js') evaluate(name);
  expect(evaluated.size).toBeGreaterThan(worker === 'sm' ? 100 : 50);
  const missing = [...evaluated].flatMap(([name, made]) =>
    Object.entries(made ?? { nothing: undefined }).flatMap(([key, value]) =>
      value === undefined ? [`${name} ${key}`] : [],
    ),
  );
  expect(missing).toEqual([]);
});

test('what the plug-in does while a guest waits is in its first file', () => {
  expect(readFileSync(fileOf('plugin.first', 'cjs'), 'latin1')).toContain('// src/sr/disk/pause-here.ts');
});

test.each([
  ['sm', 'sr_get_driver_info', 'Ceph'],
  ['sm', 'vdi_attach', 'is not attached on this host'],
  ['sm', 'sr_scan', 'is not attached on this host'],
  ['plugin', 'pause', 'xapi-unreachable'],
])('%s: %s is answered without the second file, and without the promises of node:fs', (worker, command, answer) => {
  rmSync(fileOf(`${worker}.rest`, 'cjs'), { force: true });
  const env = { PATH: '/usr/bin:/bin', RBDSR_ROOT: join(folder, 'root') };
  const tells = join(folder, 'tells.cjs');
  const loaded = join(folder, 'loaded.json');
  const text = `require('node:fs').writeFileSync(${JSON.stringify(loaded)}, JSON.stringify(process.moduleLoadList))`;
  writeFileSync(tells, `process.once('exit', () => ${text});`);
  const request = worker === 'sm' ? requestText(command, { args: ['true'] }) : encodeCall(command, ['session', {}]);
  const argv = ['-r', tells, join(folder, `product/${worker}.cjs`), request];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { env });
  expect(stderr.toString()).toBe('');
  expect(stdout.toString()).toContain(answer);
  // A part takes what it imports when it is evaluated, and to take `promises` of node:fs loads them: a millisecond.
  const modules = JSON.parse(readFileSync(loaded, 'utf8')) as string[];
  expect(modules).toContain('NativeModule fs');
  expect(modules.filter((name) => /\bfs\/promises$/.test(name))).toEqual([]);
});
