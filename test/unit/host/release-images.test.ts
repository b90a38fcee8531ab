import { type FSWatcher, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { afterEach, onTestFinished, expect, test, vi } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { Krbd } from '../../../src/ceph/krbd/krbd.ts';
import { releaseMapping, type Released } from '../../../src/installer/shutdown/release-mapping.ts';
import { releaseImages } from '../../../src/installer/shutdown/release-images.ts';
import { type HostFixture, useHosts } from './host-fixture.ts';
import { linux44, writeTree } from '../../support/recorded-sysfs.ts';
import { dmsetupScript } from '../../support/stand-ins/recorded-dmsetup.ts';
import { recordedSystemd, UNRECORDED } from '../../../lab/hosts/recorded-systemd.ts';

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

/** Hosts whose systemctl answers as it was recorded to; no test asks it anything else. */
const asked: HostFixture[] = [];
afterEach(() => {
  for (const host of asked.splice(0)) expect(host.read('/asked')).not.toContain(UNRECORDED);
});

function systemdIs(host: HostFixture, state: string, version = '252'): void {
  const path = '/usr/bin/systemctl';
  host.write(path, recordedSystemd(path, { states: [state], version, log: '/asked' }), 0o755);
  host.write('/asked', '');
  asked.push(host);
}

function shuttingDown(): HostFixture {
  const host = hosts.make('8.3b');
  systemdIs(host, 'stopping');
  const record = { spec: { pool: 'xen', image: 'ours' }, allocation: 'thick' };
  host.write(`/var/run/rbdsr/sr/${SR}.json`, JSON.stringify(record));
  return host;
}

const release = (host: HostFixture, ms = 30_000): Promise<Omit<Released, 'label'>> =>
  releaseMapping(host.open(), 0, Deadline.after(ms));

test('an image that lets go is unmapped, its volumes first', async () => {
  const host = shuttingDown();
  kernel(host, ['ours'], () => true);
  host.write('/sys/dev/block/250:0/holders/dm-3', '');
  host.write('/sys/block/dm-3/dm/name', 'VG_XenStorage--1-MGT\n');
  host.write('/sbin/dmsetup', dmsetupScript({ log: host.at('/calls'), states: ['free'] }), 0o755);
  expect(await release(host)).toEqual({ how: 'unmapped' });
  expect(host.read('/calls')).toBe('remove --noudevsync VG_XenStorage--1-MGT\n');
});

test('one of ours that is open is unmapped by force', async () => {
  const host = shuttingDown();
  const written = kernel(host, ['ours'], (text) => text.endsWith(' force'));
  vi.spyOn(Krbd.prototype, 'unmap').mockRejectedValueOnce(new RbdsrError('device-busy', { what: 'it is open' }));
  expect(await release(host)).toEqual({ how: 'forced' });
  expect(written).toEqual(['0 force']);
});

test('one of ours that waits for the cluster is left to the kernel, and says so', async () => {
  const host = shuttingDown();
  const written = kernel(host, ['ours'], () => false);
  const released = await release(host, 4000);
  expect(released).toEqual({
    how: 'left',
    problem: expect.stringMatching(/^waited .* until the cluster has answered/),
  });
  expect(written).toEqual(['0']);
});

test("somebody else's is only asked", async () => {
  const host = shuttingDown();
  const written = kernel(host, ['theirs'], () => false);
  expect(await release(host, 4000)).toMatchObject({ how: 'left', problem: expect.stringContaining('go away') });
  expect(written).toEqual(['0']);
});

const releaser = (script: string): readonly string[] => ['/bin/sh', '-c', script, 'sh'];

test('each image has a process of its own, which is told its number and how long it has', async () => {
  const host = shuttingDown();
  kernel(host, ['ours', 'theirs'], () => true);
  const script = releaser(
    `echo "$@" >>${host.at('/calls')}; [ $1 = 1 ] && echo '{"how":"left","problem":"busy"}' || echo '{"how":"unmapped"}'`,
  );
  expect(await releaseImages(host.open(), script)).toEqual([
    { label: expect.stringContaining('xen/ours'), how: 'unmapped' },
    { label: expect.stringContaining('xen/theirs'), how: 'left', problem: 'busy' },
  ]);
  expect(host.read('/calls').trim().split('\n').sort()).toEqual([
    expect.stringMatching(/^0 5\d{4}$/),
    expect.stringMatching(/^1 5\d{4}$/),
  ]);
});

test('one that says nothing, or ends without a word, is left', async () => {
  const host = shuttingDown();
  kernel(host, ['ours', 'theirs'], () => true);
  const released = await releaseImages(host.open(), releaser('[ $1 = 0 ] || exec sleep 3'), 500);
  expect(released).toMatchObject([
    { how: 'left', problem: expect.stringContaining('said nothing') },
    { how: 'left', problem: expect.stringMatching(/^waited /) },
  ]);
});

test('a host that is not shutting down keeps its images', async () => {
  const host = shuttingDown();
  systemdIs(host, 'running');
  kernel(host, ['ours'], () => true);
  expect(await releaseImages(host.open(), releaser('exit 1'))).toBeUndefined();
});

// The words and the jobs are those of the transcript.
test.each([
  ['219', 'goes down while it starts', true],
  ['219', 'goes down before it starts', true],
  ['219', 'starts', false],
  ['219', 'no longer goes down', false],
  ['219', 'starts without a job', false],
  ['252', 'starting', false],
])('systemd before 246 calls a host that goes down starting; its jobs tell: %s, %j', async (version, state, isDown) => {
  const host = shuttingDown();
  systemdIs(host, state, version);
  kernel(host, ['ours'], () => true);
  const released = await releaseImages(host.open(), releaser(`echo '{"how":"unmapped"}'`));
  expect(released?.map(({ how }) => how)).toEqual(isDown ? ['unmapped'] : undefined);
  expect(host.read('/asked')).toBe('is-system-running\nlist-jobs --no-legend --full\n');
});
