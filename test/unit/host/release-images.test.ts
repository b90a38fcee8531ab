import { type FSWatcher, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { onTestFinished, expect, test } from 'vitest';
import { releaseImages } from '../../../src/host/release-images.ts';
import { type HostFixture, useHosts } from './host-fixture.ts';
import { linux44, writeTree } from '../ceph/recorded-sysfs.ts';

const hosts = useHosts();
const SR = '0f0e0d0c-0b0a-4908-8706-050403020100';

/** The kernel's side of sysfs, as far as unmapping goes: an image goes away once `lets` likes what was written. */
function kernel(host: HostFixture, images: readonly string[], lets: (written: string) => boolean): string[] {
  for (const [index, image] of images.entries()) {
    writeTree({ sysRoot: host.at('/sys') }, linux44(index, { pool: 'xen', name: image, major: '250' }));
  }
  const written: string[] = [];
  const bus = host.at('/sys/bus/rbd');
  for (const name of ['add_single_major', 'remove_single_major']) writeFileSync(`${bus}/${name}`, '');
  const watcher: FSWatcher = watch(`${bus}/remove_single_major`, () => {
    const text = readFileSync(`${bus}/remove_single_major`, 'utf8').trim();
    if (text === '' || written.at(-1) === text) return;
    written.push(text);
    if (lets(text)) rmSync(`${bus}/devices/${text.split(' ')[0]}`, { recursive: true, force: true });
  });
  onTestFinished(() => watcher.close());
  return written;
}

function shuttingDown(): HostFixture {
  const host = hosts.make('8.3b');
  host.write('/usr/bin/systemctl', '#!/bin/sh\necho stopping\n', 0o755);
  const record = { spec: { pool: 'xen', image: 'ours' }, allocation: 'thick' };
  host.write(`/var/run/rbdsr/sr/${SR}.json`, JSON.stringify(record));
  return host;
}

test('an image that lets go is unmapped, its volumes first', async () => {
  const host = shuttingDown();
  kernel(host, ['ours'], () => true);
  host.write('/sys/dev/block/250:0/holders/dm-3', '');
  host.write('/sys/block/dm-3/dm/name', 'VG_XenStorage--1-MGT\n');
  host.write('/sbin/dmsetup', `#!/bin/sh\necho "$*" >>${host.at('/calls')}\n`, 0o755);
  expect(await releaseImages(host.open())).toMatchObject([
    { label: expect.stringContaining('xen/ours'), how: 'unmapped' },
  ]);
  expect(host.read('/calls')).toBe('remove --noudevsync VG_XenStorage--1-MGT\n');
});

test('one of ours that does not let go is unmapped by force', async () => {
  const host = shuttingDown();
  const written = kernel(host, ['ours'], (text) => text.endsWith(' force'));
  expect(await releaseImages(host.open(), 500)).toMatchObject([{ how: 'forced' }]);
  expect(written).toEqual(['0', '0 force']);
});

test("somebody else's is only asked", async () => {
  const host = shuttingDown();
  const written = kernel(host, ['theirs'], () => false);
  expect(await releaseImages(host.open(), 500)).toMatchObject([
    { how: 'left', problem: expect.stringContaining('go away') },
  ]);
  expect(written).toEqual(['0']);
});
