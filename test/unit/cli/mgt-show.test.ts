import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { usePlugin } from '../sm/plugin-process.ts';

const plugin = usePlugin();
const rbdsr = (...argv: readonly string[]) => plugin.run('', argv, 'cli');
const fixtures = 'test/fixtures/mgt';
const manifest = JSON.parse(readFileSync(`${fixtures}/manifest.json`, 'utf8'));
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-sm-mgt-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function copyOf(name: string, ...edits: readonly (readonly [number, string])[]): string {
  const path = join(folder, name);
  copyFileSync(`${fixtures}/${name}`, path);
  const bytes = readFileSync(path);
  for (const [offset, text] of edits) bytes.write(text, offset, 'latin1');
  writeFileSync(path, bytes);
  return path;
}

describe.each(['empty.mgt', 'four.mgt', 'edited.mgt'])('%s, written by the stock storage manager', (name) => {
  const { sr, vdis } = manifest[name];

  test('--json is what stock reads back', async () => {
    const { code, stdout, stderr } = await rbdsr('mgt', 'show', copyOf(name), '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const shown = JSON.parse(stdout);
    expect(shown.sr).toMatchObject({ uuid: sr.uuid, nameLabel: sr.name_label, nameDescription: sr.name_description });
    const names = (list: Iterable<readonly string[]>) => [...list].map((entry) => entry.join(' ')).sort();
    expect(names(shown.vdis.map((vdi: Record<string, string>) => [vdi['uuid'], vdi['nameLabel']]))).toEqual(
      names(Object.values<Record<string, string>>(vdis).map((vdi) => [vdi['uuid'] ?? '', vdi['name_label'] ?? ''])),
    );
    expect(shown.problems).toEqual([]);
  });

  test('the table has one line per disk', async () => {
    const { code, stdout } = await rbdsr('mgt', 'show', copyOf(name));
    expect(code).toBe(0);
    expect(stdout).toContain(sr.name_label);
    for (const uuid of Object.keys(vdis)) expect(stdout).toMatch(new RegExp(`^${uuid} `, 'm'));
    expect(stdout.includes('\nno disks\n')).toBe(Object.keys(vdis).length === 0);
  });
});

describe('what cannot be read', () => {
  test('one damaged record: the others are shown, the exit code is 1', async () => {
    const { code, stdout } = await rbdsr('mgt', 'show', copyOf('four.mgt', [3072, '<nonsense']));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^not readable: .*3072/m);
    expect(stdout.match(/^[0-9a-f-]{36} /gm)).toHaveLength(3);
  });

  test('a damaged header', async () => {
    const { code, stdout, stderr } = await rbdsr('mgt', 'show', copyOf('four.mgt', [0, 'Y']));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^rbdsr: .*expected .*found .*\(metadata-corrupt\)\n$/);
  });

  test('a file that is too short', async () => {
    const path = copyOf('empty.mgt');
    truncateSync(path, 100);
    const { code, stderr } = await rbdsr('mgt', 'show', path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/found 100 bytes.*\(metadata-corrupt\)/);
  });

  test('no such file', async () => {
    const { code, stderr } = await rbdsr('mgt', 'show', join(folder, 'absent'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/absent.*\(device-missing\)/);
  });
});

describe('how it is called', () => {
  test('version, from package.json', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    for (const argv of [['version'], ['--version']]) {
      expect(await rbdsr(...argv)).toEqual({ code: 0, stdout: `Version : ${version}\n`, stderr: '' });
    }
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test('--help goes to stdout, a mistake to stderr with exit code 2', async () => {
    expect(await rbdsr('--help')).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('mappings') });
    for (const argv of [[], ['frob'], ['mgt', 'show'], ['mgt', 'show', 'a', 'b'], ['mgt', 'show', '--frob', 'a']]) {
      const { code, stdout, stderr } = await rbdsr(...argv);
      expect({ argv, code, stdout }).toEqual({ argv, code: 2, stdout: '' });
      expect(stderr).not.toBe('');
    }
  });

  test('control characters of a name do not reach the terminal', async () => {
    const path = copyOf('four.mgt');
    const bytes = readFileSync(path);
    const at = bytes.indexOf('disk one');
    bytes.write('\x1B[2Jone!', at, 'latin1');
    writeFileSync(path, bytes);
    const { stdout } = await rbdsr('mgt', 'show', path);
    expect(stdout).not.toContain('\x1B');
  });
});

test('a reader that leaves early is no error', () => {
  const script = `for i in 1 2 3; do "$0" "$1" mgt show "$2" --json | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"; done`;
  const bundle = join(folder, 'product');
  placeBuiltProduct(bundle);
  const argv = ['-c', script, process.execPath, join(bundle, 'cli.cjs'), copyOf('four.mgt')];
  const codes = execFileSync('bash', argv, { encoding: 'utf8' });
  expect(codes).toBe('0\n0\n0\n');
});
