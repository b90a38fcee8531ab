import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { MiB } from '../../../src/base/units.ts';
import type { Picture } from '../../../src/picture/picture.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';
import { ClusterHere } from '../ceph/cluster-here.ts';
import { hostWithStockSr } from '../lvhd/stock-sr-host.ts';

const OBJECT = 4 * MiB;
const plugin = usePlugin();
let here: ClusterHere;
let cluster: Cluster;

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'picture' });
  ({ cluster } = here);
  await cluster.createPool('xen');
  here.enter();
});

afterAll(async () => {
  await here.end();
});

/** The objects of an image that an import makes: those that are not all zeroes. */
function objectsOf(file: string): ReadonlySet<number> {
  const bytes = readFileSync(file);
  const empty = Buffer.alloc(OBJECT);
  const count = Math.ceil(bytes.length / OBJECT);
  const isThere = (index: number): boolean => {
    const object = bytes.subarray(index * OBJECT, (index + 1) * OBJECT);
    return !object.equals(empty.subarray(0, object.length));
  };
  return new Set(Array.from({ length: count }, (_unused, index) => index).filter(isThere));
}

test('what Ceph holds of each volume, and who has the image open, by the key file of HA with xapi down', async () => {
  const { root, sr, open } = await hostWithStockSr(plugin.host('8.3b'), 'chains', 'chains-thick');
  const { key } = await cluster.createUser('xen', ['xen']);
  writeFileSync(
    join(root, 'sys/bus/rbd/devices/0/config_info'),
    `${cluster.monitors.join(',')} name=xen,key=rbdsr xen sr1 -`,
  );
  mkdirSync(join(root, 'etc/rbdsr/keys'), { recursive: true });
  writeFileSync(join(root, `etc/rbdsr/keys/${sr}.keyring`), `[client.xen]\n\tkey = ${key}\n`, { mode: 0o600 });
  const image = readFileSync(`/sys/block/${open.lvm.device.slice('/dev/'.length)}/loop/backing_file`, 'utf8').trim();
  await cluster.tool('rbd', 'import', '--no-progress', image, 'xen/sr1');

  const answer = await plugin.run(root, ['tree', sr, '--ceph', '--json'], 'cli');
  const { cluster: said, disks, missing } = JSON.parse(answer.stdout) as Picture;
  expect(missing.map(({ part }) => part)).toEqual(['xapi']);
  expect(said?.watchers).toEqual([]);
  expect(said?.image).toMatchObject({ format: 2, features: 1 + 4 + 8 + 16 + 32, objectBytes: OBJECT });
  expect(said?.pool).toMatchObject({ name: 'xen', flags: [] });
  expect(said?.pool?.freeBytes).toBeGreaterThan(0);
  const objects = objectsOf(image);
  expect(said?.held?.imageBytes).toBe(objects.size * OBJECT);
  const wanted = (disks?.volumes ?? []).map(({ name, segments }) => {
    let bytes = 0;
    for (const { pvOffsetBytes, lengthBytes } of segments) {
      for (let at = pvOffsetBytes; at < pvOffsetBytes + lengthBytes; at += 512)
        if (objects.has(Math.floor(at / OBJECT))) bytes += 512;
    }
    return [name, bytes] as const;
  });
  expect(said?.held?.byVolume).toEqual(Object.fromEntries(wanted));
  expect(answer.stdout).not.toContain(key);

  const drawn = await plugin.run(root, ['tree', sr, '--ceph'], 'cli');
  expect(drawn.stdout).toMatch(/^image: +layering, .*, objects of 4 MiB$/m);
  expect(drawn.stdout).toMatch(/^pool: +xen, .* in it, room for .* more$/m);
  expect(drawn.stdout).toMatch(/^disk .* in it +in Ceph +depth$/m);
});

test('a cluster that does not let the user in costs what it would have told, and nothing else', async () => {
  const { root, sr } = await hostWithStockSr(plugin.host('8.3b'), 'plain', 'plain-thick');
  writeFileSync(join(root, 'sys/bus/rbd/devices/0/config_info'), `${cluster.monitors.join(',')} name=xen xen sr1 -`);
  mkdirSync(join(root, 'etc/rbdsr/keys'), { recursive: true });
  const key = 'AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==';
  writeFileSync(join(root, `etc/rbdsr/keys/${sr}.keyring`), `[client.nobody]\n\tkey = ${key}\n`);
  const answer = await plugin.run(root, ['tree', sr, '--ceph', '--json'], 'cli');
  const { cluster: said, disks, missing } = JSON.parse(answer.stdout) as Picture;
  expect(said).toBeUndefined();
  expect(disks?.nodes.length).toBe(4);
  const wanted = missing.filter((part) => part.wanted).map(({ part }) => part);
  expect(wanted.toSorted()).toEqual(['cluster', 'xapi']);
});
