import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { gatherPicture } from '../../../src/picture/gather/gather.ts';
import type { Picture } from '../../../src/picture/picture.ts';
import { unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';
import { hostWithStockSr, xapiOfStockSr } from '../lvhd/stock-sr-host.ts';

const plugin = usePlugin();

function sum(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

test('a copy of an SR in a file, on a machine that is no host: its chains, and not a byte of it changes', async () => {
  using archive = unpackVectors('chains', ['chains-thick.img']);
  const file = join(archive.folder, 'chains-thick.img');
  const before = sum(file);
  const { code, stdout, stderr } = await plugin.run('/nowhere', ['tree', '--device', file], 'cli');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  await expect(stdout.replace(file, 'chains-thick.img')).toMatchFileSnapshot('__snapshots__/chains-thick.txt');
  expect(sum(file)).toBe(before);
});

test('an attached SR, with xapi and without: the same chains, and what is missing is said', async () => {
  const { root, sr, open, state } = await hostWithStockSr(plugin.host('8.3b'), 'chains', 'chains-thin');
  const down = await plugin.run(root, ['tree', sr, '--json'], 'cli');
  expect(down).toMatchObject({ code: 1, stderr: '' });
  const alone = JSON.parse(down.stdout) as Picture;
  expect(alone.missing).toEqual([{ part: 'xapi', why: expect.stringContaining('xapi'), wanted: true }]);
  expect(alone.place).toMatchObject({ kind: 'attached', image: 'xen/sr1', fsid: 'f' });
  expect(alone.disks?.nodes.map(({ lvName }) => lvName)).toEqual(
    Object.values(state.vdis)
      .map(({ lv }) => lv)
      .toSorted(),
  );

  const { double, row, host } = await xapiOfStockSr(root, sr);
  const [first] = state.mgt.vdis;
  double.db.create('VDI', {
    uuid: String(first?.['uuid']),
    SR: row.ref,
    name_label: 'renamed <b>in</b> xapi',
    managed: true,
    sm_config: { [`host_${host}`]: 'RW' },
  });
  double.db.create('PBD', { SR: row.ref, host, currently_attached: true, device_config: { password: 'hunter2' } });
  const up = await plugin.run(root, ['tree', sr], 'cli');
  expect(up).toMatchObject({ code: 0, stderr: '' });
  expect(up.stdout).toMatch(new RegExp(`renamed <b>in</b> xapi +${String(first?.['uuid'])} .*on me \\(RW\\)$`, 'm'));
  const json = await plugin.run(root, ['tree', sr, '--json'], 'cli');
  expect((JSON.parse(json.stdout) as Picture).disks).toEqual(alone.disks);
  expect(json.stdout).not.toContain('hunter2');
  expect((await open.report()).lvs.every(({ active }) => !active)).toBe(true);
});

test('a cluster that never answers costs the disks alone, and no more than the deadline', async () => {
  const { root, sr } = await hostWithStockSr(plugin.host('8.3b'), 'plain', 'plain-thick');
  const picture = await gatherPicture({ root, reader: ['sh', '-c', 'sleep 8'], sr, ask: 'nothing', ms: 3000 });
  expect(picture.disks).toBeUndefined();
  expect(picture.host?.mappings).toMatchObject([{ image: 'xen/sr1' }]);
  expect(picture.missing.find(({ part }) => part === 'disks')?.why).toMatch(/waited .* for the process that reads/);
});

test('what is not attached, is another SR, or is none is refused by name', async () => {
  const root = plugin.host('8.3b');
  const { sr, file } = vectorImages('plain')['plain-thick'] ?? { sr: '', file: '' };
  const absent = await plugin.run(root, ['tree', sr], 'cli');
  expect(absent).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/not attached.*--device.*\(sr-unavailable\)/),
  });
  const archive = unpackVectors('plain', [file]);
  onTestFinished(() => archive[Symbol.dispose]());
  const path = join(archive.folder, file);
  const other = await plugin.run(root, ['tree', '0a1b2c3d-0000-4000-8000-000000000001', '--device', path], 'cli');
  expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('(invalid-argument)') });
  const none = await plugin.run(root, ['tree', '--device', '/etc/passwd'], 'cli');
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('(sr-unavailable)') });
  expect(await plugin.run(root, ['tree'], 'cli')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--device'),
  });
});
