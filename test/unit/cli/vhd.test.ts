import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { usePlugin } from '../sm/plugin-process.ts';
import { type CliEnd, runCli } from './run-cli.ts';
import { soundNames, vector, VectorFiles, vectorNames, vectors } from '../vhd/vectors.ts';

const plugin = usePlugin();
const rbdsr = (...argv: readonly string[]) => plugin.run('', argv, 'cli');
let files: VectorFiles;
let product = '';
beforeAll(() => {
  files = new VectorFiles();
  // The manifest's paths are relative to where blktap's tools ran: this child lay beside a copy of its parent.
  copyFileSync(files.path('base.vhd'), files.path('coalesced/base.vhd'));
  product = files.path('product');
  placeBuiltProduct(product);
});
afterAll(() => files[Symbol.dispose]());

const pathOf = (name: string) => files.path(vector(name).file);

const cat = (...argv: readonly string[]): Promise<CliEnd> => runCli(product, ['vhd', 'cat', ...argv], files.path(''));

describe('images of the reference tools', () => {
  test.each(soundNames.filter((name) => vectors[name]?.sha256 !== undefined))('cat of %s', async (name) => {
    const { code, sha256, stderr } = await cat(pathOf(name));
    expect({ code, sha256, stderr }).toEqual({ code: 0, sha256: vector(name).sha256, stderr: '' });
  });

  test.each(vectorNames)('check of %s ends as vhd-util check does', async (name) => {
    const { code, stdout, stderr } = await rbdsr('vhd', 'check', pathOf(name));
    expect({ sound: code === 0, stderr }).toEqual({ sound: vector(name).check_rc === 0, stderr: '' });
    expect(stdout).toMatch(code === 0 ? / is sound\n$/ : /^error: .+\n[^]* is not sound\n$/);
    const json = JSON.parse((await rbdsr('vhd', 'check', pathOf(name), '--json')).stdout);
    expect(json.sound).toBe(code === 0);
    expect(json.findings.length > 0).toBe(code !== 0);
  });

  test.each(soundNames)('info of %s agrees with vhd-util query', async (name) => {
    const { code, stdout, stderr } = await rbdsr('vhd', 'info', pathOf(name), '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { footer, parents } = JSON.parse(stdout);
    const { query_vfdp } = vector(name);
    const [parent] = parents;
    const below = parent === undefined ? query_vfdp[1] : `.${parent.file.slice(files.path('').length)}`;
    expect([
      `${footer.virtualBytes / MiB}`,
      below,
      `hidden: ${footer.hidden ? 1 : 0}`,
      `chain depth: ${parents.length + 1}`,
    ]).toEqual(query_vfdp);
    const text = await rbdsr('vhd', 'info', pathOf(name));
    expect(text.stdout.match(/^ *└─ /gm) ?? []).toHaveLength(parents.length);
    expect(text.stdout).toContain(footer.uuid);
  });

  test('check --in-use bears a missing end footer', async () => {
    expect((await rbdsr('vhd', 'check', '--in-use', pathOf('bad-end-footer'))).code).toBe(0);
    expect((await rbdsr('vhd', 'info', pathOf('bad-end-footer'))).stdout).toMatch(/footer read at: +byte 0/);
  });
});

test('a stale end footer of another VHD changes nothing but what check says', async () => {
  const name = soundNames.find((one) => vectors[one]?.sha256 !== undefined) ?? '';
  const other = soundNames.find((one) => one !== name) ?? '';
  const path = files.path('stale-end.vhd');
  copyFileSync(pathOf(name), path);
  const bytes = readFileSync(path);
  files.bytes(other).copy(bytes, bytes.length - 512, 0, 512);
  writeFileSync(path, bytes);
  expect(await cat(path)).toMatchObject({ code: 0, sha256: vector(name).sha256, stderr: '' });
  const of = async (file: string) => JSON.parse((await rbdsr('vhd', 'info', file, '--json')).stdout);
  const { footer } = await of(path);
  expect(footer).toEqual({ ...(await of(pathOf(name))).footer, foundAt: 'copy' });
  const { code, stdout } = await rbdsr('vhd', 'check', path);
  expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining('belongs to another image') });
});

describe('where the parents are', () => {
  test('a parent that is elsewhere is named by --parent, once for each level', async () => {
    const away = files.path('away');
    mkdirSync(away, { recursive: true });
    for (const name of ['leaf', 'mid', 'base']) copyFileSync(pathOf(name), join(away, `${name}-renamed`));
    const leaf = join(away, 'leaf-renamed');
    const lost = await cat(leaf);
    expect({ code: lost.code, bytes: lost.bytes }).toEqual({ code: 1, bytes: 0 });
    expect(lost.stderr).toMatch(
      /a parent of .*leaf-renamed is not there; expected one of .*mid\.vhd.*--parent PATH\. \(device-missing\)/,
    );
    const options = ['--parent', join(away, 'mid-renamed'), '--parent', join(away, 'base-renamed')];
    expect((await cat(leaf, ...options)).sha256).toBe(vector('leaf').sha256);
    const wrong = await cat(leaf, '--parent', join(away, 'base-renamed'));
    expect({ code: wrong.code, bytes: wrong.bytes }).toEqual({ code: 1, bytes: 0 });
    expect(wrong.stderr).toMatch(/is not the parent that .*leaf-renamed names; expected .*\(vhd-corrupt\)/);
  });

  test('in the folder of a volume group, the parent is the LV that its device-mapper name means', async () => {
    const group = files.path('VG_XenStorage-5d6e1b60-0000-4000-8000-000000000001');
    mkdirSync(group, { recursive: true });
    const base = 'VHD-81ffc03f-0b8d-4784-9dfe-c3f7a1c68ce4';
    const leaf = 'VHD-a288d9eb-c91a-48e5-b8ef-9cb1be7e47b7';
    copyFileSync(pathOf('base'), join(group, base));
    execFileSync(process.execPath, ['-e', RENAME_PARENT, pathOf('mid'), join(group, leaf), dm(group, base)]);
    expect((await cat(join(group, leaf))).sha256).toBe(vector('mid').sha256);

    const mapper = files.path('mapper');
    mkdirSync(mapper, { recursive: true });
    for (const name of [base, leaf]) copyFileSync(join(group, name), join(mapper, dm(group, name)));
    expect((await cat(join(mapper, dm(group, leaf)))).sha256).toBe(vector('mid').sha256);
  });
});

/**
 * Copies a child and writes another name into its parent-name field; its locators are taken away, and the checksum is
 * made anew.
 */
const RENAME_PARENT = `
const [from, to, name] = process.argv.slice(1);
const bytes = require('node:fs').readFileSync(from);
const header = bytes.subarray(512, 1536);
header.fill(0, 64, 576 + 8 * 24);
Buffer.from(name, 'utf16le').swap16().copy(header, 64);
header.writeUInt32BE(0, 36);
header.writeUInt32BE(~header.reduce((sum, byte) => sum + byte, 0) >>> 0, 36);
require('node:fs').writeFileSync(to, bytes);
`;

function dm(group: string, lv: string): string {
  return [group.slice(group.lastIndexOf('/') + 1), lv].map((part) => part.replaceAll('-', '--')).join('-');
}

describe('what is no disk', () => {
  const made: readonly (readonly [string, RegExp, (path: string) => void])[] = [
    ['absent', /there is no .*absent.*\(device-missing\)/, () => {}],
    [
      'void',
      /is not a VHD; expected a footer.*; found an empty file \(vhd-corrupt\)/,
      (path) => writeFileSync(path, ''),
    ],
    [
      'text',
      /is not a VHD; expected a footer.*; found 7000 bytes without one \(vhd-corrupt\)/,
      (path) => writeFileSync(path, 'no disk'.repeat(1000)),
    ],
    ['folder', /expected a file or a block device; found a directory \(invalid-argument\)/, (path) => mkdirSync(path)],
    [
      'cut',
      /\(vhd-corrupt\)/,
      (path) => {
        copyFileSync(pathOf('empty'), path);
        truncateSync(path, 1000);
      },
    ],
  ];
  test.each(made)('%s', async (name, message, make) => {
    const path = files.path(`none-${name}`);
    if (!existsSync(path)) make(path);
    for (const verb of ['info', 'cat']) {
      const { code, stdout, stderr } = await rbdsr('vhd', verb, path);
      expect({ verb, code, stdout }).toEqual({ verb, code: 1, stdout: '' });
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/^ +at /m);
    }
    expect((await rbdsr('vhd', 'check', path)).code).toBe(1);
  });

  test('the broken image shows nothing of itself', async () => {
    const { code, stdout, stderr } = await rbdsr('vhd', 'cat', pathOf('bad-header-checksum'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/header\.checksum .*\(vhd-corrupt\)/);
  });
});

test('a reader that leaves early is no error', () => {
  const script = `"$0" "$1" vhd cat "$2" | head -c 100 | wc -c; echo "\${PIPESTATUS[0]}"`;
  const argv = ['-c', script, process.execPath, join(product, 'cli.cjs'), pathOf('leaf')];
  expect(
    execFileSync('bash', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
      .trim()
      .split(/\s+/),
  ).toEqual(['100', '0']);
});

test('cat only reads', () => {
  const before = readFileSync(pathOf('leaf'));
  execFileSync(process.execPath, [join(product, 'cli.cjs'), 'vhd', 'cat', pathOf('leaf')], { maxBuffer: 64 * MiB });
  expect(readFileSync(pathOf('leaf')).equals(before)).toBe(true);
});
