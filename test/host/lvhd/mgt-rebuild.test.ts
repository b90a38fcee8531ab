import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { hostWithStockSr, xapiOfStockSr } from './stock-sr-host.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';

const plugin = usePlugin();
const UNNAMED = '47444dad-534d-4c14-b3c0-6bc357f274f9';

async function hostWithSr() {
  const host = await hostWithStockSr(plugin.host('8.3b'), 'plain', 'plain-thick');
  return { ...host, stored: host.state.mgt.vdis };
}

test('an attached SR whose metadata volume is noise', async () => {
  const { root, sr, open, stored } = await hostWithSr();
  const { double, row } = await xapiOfStockSr(root, sr);
  for (const vdi of stored.filter(({ uuid }) => uuid !== UNNAMED)) {
    double.db.create('VDI', {
      uuid: String(vdi['uuid']),
      SR: row.ref,
      name_label: String(vdi['name_label']),
      type: 'user',
      managed: true,
    });
  }
  const mgt = await open.openLv('MGT', 'write');
  await mgt.write(0, Buffer.alloc(8192, 0xa5));

  const dry = await plugin.run(root, ['mgt', 'rebuild', sr, '--dry-run'], 'cli');
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  expect(dry.stdout).toMatch(new RegExp(`^${UNNAMED} +vhd +${UNNAMED} +its uuid +no record$`, 'm'));
  await expect(new MetadataVolume(mgt).read()).rejects.toThrow(/damaged/);

  expect(await plugin.run(root, ['mgt', 'rebuild', sr], 'cli')).toMatchObject({ code: 0, stderr: '' });
  const { sr: written, vdis } = await new MetadataVolume(mgt).read();
  expect(written).toMatchObject({ uuid: sr, nameLabel: 'renamed in xapi', allocation: 'thick' });
  expect(new Map(vdis.map(({ uuid, nameLabel, vdiType }) => [uuid, `${vdiType} ${nameLabel}`]))).toEqual(
    new Map(
      stored.map(({ uuid, name_label, vdi_type }) => [uuid, `${vdi_type} ${uuid === UNNAMED ? UNNAMED : name_label}`]),
    ),
  );
});

test('a held lock, and a host that is not the master, change nothing', async () => {
  const { root, sr, open } = await hostWithSr();
  const mgt = await open.openLv('MGT', 'write');
  await mgt.write(0, Buffer.alloc(512));
  await xapiOfStockSr(root, sr, 'another');
  const elsewhere = await plugin.run(root, ['mgt', 'rebuild', sr], 'cli');
  expect(elsewhere).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/pool master.*\(not-master\)/),
  });

  await using _lock = await takeRecordLock(`${root}/var/lock/sm/${sr}/sr`, {
    wait: false,
    deadline: Deadline.after(5000),
  });
  const busy = await plugin.run(root, ['mgt', 'rebuild', sr], 'cli');
  expect(busy).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('(lock-busy)') });
  expect((await mgt.read(0, 512)).equals(Buffer.alloc(512))).toBe(true);
});
