import { join } from 'node:path';
import { expect, test } from 'vitest';
import { usePlugin } from '../sm/plugin-process.ts';
import { linux61, writeTree } from '../../support/recorded-sysfs.ts';

const plugin = usePlugin();

function map(root: string, index: number, image: string): void {
  const changes = {
    pool: 'xen',
    name: image,
    // A number that no disk of this machine has.
    major: '252',
    size: '10737418240',
    cluster_fsid: '7d4e2b0e-1111-4222-8333-944445555666',
    client_id: `client410${index}`,
    client_addr: '10.0.0.5:0/123',
    config_info: `10.0.0.1:6789 name=xen,secret=hunter2 xen ${image} -`,
  };
  writeTree({ sysRoot: join(root, 'sys') }, linux61(index, changes));
}

test('no mapping, and no xapi to ask', async () => {
  const { code, stdout, stderr } = await plugin.run(plugin.host('8.3b'), ['mappings'], 'cli');
  expect(stdout).toBe('No RBD image is mapped on this host.\n');
  expect(stderr).toMatch(/Which SR uses which mapping is not known: /);
  expect(code).toBe(1);
});

test('mappings without xapi: a table, and no word on whose they are', async () => {
  const root = plugin.host('8.3b');
  map(root, 0, 'sr1');
  map(root, 3, 'sr\u001B2');
  const { stdout } = await plugin.run(root, ['mappings'], 'cli');
  expect(stdout).toMatch(/rbd0 +xen\/sr1 +10 GiB +7d4e2b0e-\S+ +10\.0\.0\.5:0\/123 +nobody$/m);
  expect(stdout).toContain('xen/sr\\x1b2');
  const json = await plugin.run(root, ['mappings', '--json'], 'cli');
  expect(JSON.parse(json.stdout).mappings.map(({ index }: { index: number }) => index)).toEqual([0, 3]);
  expect(json.stdout).not.toContain('hunter2');
});

test('unmap refuses what is not mapped, and what xapi cannot vouch for', async () => {
  const root = plugin.host('8.3b');
  map(root, 0, 'sr1');
  const absent = await plugin.run(root, ['unmap', '/dev/sda'], 'cli');
  expect(absent.code).toBe(1);
  expect(absent.stderr).toMatch(/\/dev\/sda is not a mapped RBD image; expected one of .*rbd0 \(device-missing\)/);
  const unsure = await plugin.run(root, ['unmap', `${root}/dev/rbd0`], 'cli');
  expect(unsure.code).toBe(1);
  expect(unsure.stderr).toMatch(/is not known; found .*\(sr-in-use\)/);
});
