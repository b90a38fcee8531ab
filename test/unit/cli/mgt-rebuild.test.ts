import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { usePlugin } from '../sm/plugin-process.ts';

const plugin = usePlugin();
const rbdsr = (...argv: readonly string[]) => plugin.run('', argv, 'cli');
const SR = 'f021ca4c-2e84-40ca-9d5d-e98778fb994b';
const LOST = '11111111-2222-4333-8444-555555555555';

/** A metadata volume of four disks that stock wrote, at the size of its LV, with its header or the middle destroyed. */
function damagedVolume(from: number, to: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-sm-rebuild-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'MGT');
  copyFileSync('test/fixtures/mgt/four.mgt', path);
  writeFileSync(path, readFileSync(path).fill(0xa5, from, to));
  truncateSync(path, 4 * MiB);
  writeFileSync(join(folder, `VHD-${LOST}`), '');
  return path;
}

async function shown(path: string): Promise<{ uuid: string; nameLabel: string }[]> {
  const { code, stdout } = await rbdsr('mgt', 'show', path, '--json');
  expect(code).toBe(0);
  return JSON.parse(stdout).vdis;
}

test.each([
  ['header', 0, 512, 4],
  ['middle', 3072, 4096, 3],
  ['identity of the SR', 512, 1024, 4],
])('after damage to the %s: what could be read, and the disks beside it', async (_what, from, to, readable) => {
  const whole = await shown('test/fixtures/mgt/four.mgt');
  const path = damagedVolume(from, to);
  const damaged = readFileSync(path);

  const dry = await rbdsr('mgt', 'rebuild', SR, '--device', path, '--dry-run');
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  expect(dry.stdout).toMatch(/^not readable: /);
  expect(dry.stdout).toMatch(new RegExp(`^${LOST} +vhd +${LOST} +its uuid +no record$`, 'm'));
  expect(readFileSync(path).equals(damaged)).toBe(true);

  expect((await rbdsr('mgt', 'rebuild', SR, '--device', path)).stdout).toMatch(/was written: \d disks\.\n$/);
  const after = await shown(path);
  expect(after).toHaveLength(readable + 1);
  const names = new Map(whole.map(({ uuid, nameLabel }) => [uuid, nameLabel]));
  for (const { uuid, nameLabel } of after) expect(nameLabel).toBe(uuid === LOST ? LOST : names.get(uuid));

  const again = await rbdsr('mgt', 'rebuild', SR, '--device', path);
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing was written') });
});

test('the volume of another SR, and a uuid that is none, are refused', async () => {
  const path = damagedVolume(0, 512);
  const before = readFileSync(path);
  const other = await rbdsr('mgt', 'rebuild', LOST, '--device', path);
  expect(other).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/of another SR.*\(invalid-argument\)/),
  });
  const noUuid = await rbdsr('mgt', 'rebuild', 'MGT', '--device', path);
  expect(noUuid).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/malformed SR uuid/) });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('an SR that is not attached on this host', async () => {
  const { code, stderr } = await plugin.run(plugin.host('8.3b'), ['mgt', 'rebuild', SR], 'cli');
  expect(code).toBe(1);
  expect(stderr).toMatch(/is not attached on this host\. Plug its PBD .*--device FILE\. \(sr-unavailable\)/);
});
