import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { openSr, unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';
import { startPool } from '../../unit/xapi/fixture.ts';

const plugin = usePlugin();
const IMAGE = 'plain-thick';
const UNNAMED = '47444dad-534d-4c14-b3c0-6bc357f274f9';
const HOST = '0f0e0d0c-0b0a-0908-0706-050403020100';

function place(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/**
 * A host on which a whole SR of the stock driver is "mapped": the kernel's list is a folder, the device a node of the
 * loop device.
 */
async function hostWithSr() {
  const { sr, file, state } = vectorImages('plain')[IMAGE] ?? {};
  if (sr === undefined || file === undefined || state === undefined) throw new Error(`no vector ${IMAGE}`);
  const archive = unpackVectors('plain', [file]);
  const open = await openSr(join(archive.folder, file), sr);
  onTestFinished(async () => {
    await open[Symbol.asyncDispose]();
    archive[Symbol.dispose]();
  });
  const root = plugin.host('8.3b');
  const attributes = {
    pool: 'xen',
    name: 'sr1',
    current_snap: '-',
    major: '252',
    size: '536870912',
    cluster_fsid: 'f',
  };
  for (const [name, value] of Object.entries(attributes)) place(join(root, 'sys/bus/rbd/devices/0', name), value);
  mkdirSync(join(root, 'dev'), { recursive: true });
  execFileSync('cp', ['-a', open.lvm.device, join(root, 'dev/rbd0')]);
  const record = { spec: { pool: 'xen', image: 'sr1' }, fsid: 'f', allocation: 'thick' };
  place(join(root, `var/run/rbdsr/sr/${sr}.json`), JSON.stringify(record));
  return { root, sr, open, stored: state.mgt.vdis };
}

/** xapi of that host, which knows two of the four disks. */
async function xapiOf(root: string, sr: string, master = HOST) {
  const { double, socketPath } = await startPool();
  const own = double.db.create('host', { uuid: HOST, name_label: 'me', enabled: true });
  const [pool] = double.db.all('pool');
  if (pool !== undefined && master === HOST) pool.fields['master'] = own.ref;
  const row = double.db.create('SR', { uuid: sr, name_label: 'renamed in xapi', type: 'rbd', shared: true });
  mkdirSync(join(root, 'var/lib/xcp'), { recursive: true });
  rmSync(join(root, 'var/lib/xcp/xapi'), { force: true });
  symlinkSync(socketPath, join(root, 'var/lib/xcp/xapi'));
  return { double, row };
}

test('an attached SR whose metadata volume is noise', async () => {
  const { root, sr, open, stored } = await hostWithSr();
  const { double, row } = await xapiOf(root, sr);
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
  await xapiOf(root, sr, 'another');
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
