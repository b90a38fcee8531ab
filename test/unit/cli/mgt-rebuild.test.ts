import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MiB, TiB } from '../../../src/base/units.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { usePlugin } from '../sm/plugin-process.ts';

const plugin = usePlugin();
const rbdsr = (...argv: readonly string[]) => plugin.run('', argv, 'cli');
const SR = 'f021ca4c-2e84-40ca-9d5d-e98778fb994b';
const LOST = '11111111-2222-4333-8444-555555555555';

/**
 * A metadata volume of four disks that stock wrote, at the size of its LV, with its header or the middle destroyed;
 * beside it a lost disk.
 */
async function damagedVolume(from: number, to: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-sm-rebuild-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'MGT');
  copyFileSync('test/fixtures/mgt/four.mgt', path);
  writeFileSync(path, readFileSync(path).fill(0xa5, from, to));
  truncateSync(path, 4 * MiB);
  await placeVhd(join(folder, `VHD-${LOST}`), false);
  return path;
}

async function placeVhd(path: string, hidden: boolean): Promise<void> {
  writeFileSync(path, '');
  truncateSync(path, 16 * MiB);
  const io = await openBlockIo(path, 'write');
  const uuid = crypto.randomUUID();
  await createVhd(io, { virtualSizeBytes: 2 * MiB, maxVirtualSizeBytes: 2 * TiB, uuid, timestamp: new Date() });
  const image = await VhdImage.open(io, 'write');
  await image.setHidden(hidden);
  await image.close();
}

async function shown(
  path: string,
): Promise<{ uuid: string; nameLabel: string; managed: boolean; readOnly: boolean }[]> {
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
  const path = await damagedVolume(from, to);
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

test('a base copy beside it stays one; what nothing says is named and left out, unless a record says it', async () => {
  const path = await damagedVolume(0, 512);
  const folder = dirname(path);
  const [recorded, base, raw, torn, foreign] = [
    (await shown('test/fixtures/mgt/four.mgt'))[0]?.uuid ?? '',
    'aaaaaaaa-0000-4000-8000-000000000001',
    'aaaaaaaa-0000-4000-8000-000000000002',
    'aaaaaaaa-0000-4000-8000-000000000003',
    'aaaaaaaa-0000-4000-8000-000000000004',
  ];
  await placeVhd(join(folder, `VHD-${base}`), true);
  const unclear = [`LV-${raw}`, `VHD-${torn}`, `QCOW2-${foreign}`];
  for (const name of [...unclear, `VHD-${recorded}`]) writeFileSync(join(folder, name), '');
  // As of a volume group: the link of an LV that went away.
  symlinkSync('nowhere', join(folder, 'VHD-aaaaaaaa-0000-4000-8000-000000000005'));

  const { code, stdout } = await rbdsr('mgt', 'rebuild', SR, '--device', path);
  expect(code).toBe(0);
  const left = stdout.split('\n').filter((line) => line.startsWith('left out, a disk or a base copy'));
  expect(left).toHaveLength(4);
  for (const name of unclear) expect(left.join('\n')).toContain(` ${name}: `);

  const after = new Map((await shown(path)).map((vdi) => [vdi.uuid, vdi]));
  expect([...after.keys()].toSorted()).toEqual(
    [...(await shown('test/fixtures/mgt/four.mgt')).map(({ uuid }) => uuid), LOST, base].toSorted(),
  );
  expect(after.get(base)).toMatchObject({ managed: false, readOnly: true });
  expect(after.get(LOST)).toMatchObject({ managed: true, readOnly: false });
  const again = await rbdsr('mgt', 'rebuild', SR, '--device', path);
  expect(again.stdout).toContain('every disk but those left out: nothing was written');
});

test('the volume of another SR, and a uuid that is none, are refused', async () => {
  const path = await damagedVolume(0, 512);
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
