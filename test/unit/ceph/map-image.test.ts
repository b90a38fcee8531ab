import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { type KeyType, sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import type { KrbdHost, MapRequest } from '../../../src/ceph/krbd/krbd-host.ts';
import { mapImage } from '../../../src/ceph/krbd/map-image.ts';
import { parseMapOptions } from '../../../src/ceph/krbd/map-options.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { failureOf } from '../../support/expect-error.ts';
import { debugClient, FSID, linux44, linux61, OTHER_FSID, recorded } from '../../support/recorded-sysfs.ts';
import type { Tree } from '../../support/recorded-sysfs.ts';

const OFFERS: Tree = { 'bus/rbd/add': '', 'bus/rbd/remove': '', 'bus/rbd/supported_features': '0x1bf' };
const made: (() => void)[] = [];
afterEach(() => made.splice(0).forEach((undo) => undo()));

/** What mapping rbd/t1 does on a recorded `/sys`, where nothing answers at the only monitor. */
async function map(
  trees: Tree[],
  request: Partial<MapRequest>,
  monitors = '127.0.0.1:1',
  release = '6.1.0',
  keyType: KeyType = 'aes',
) {
  const roots = recorded(OFFERS, ...trees);
  const lockDir = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-locks-'));
  made.push(
    () => roots.remove(),
    () => rmSync(lockDir, { recursive: true }),
  );
  const host: KrbdHost = { roots, lockDir, kernelLog: '/dev/null', kernel: kernelTraits(release) };
  const access = { monitors: parseMonitors(monitors), user: 'xen', key: sampleKey(keyType) };
  const result = mapImage(
    host,
    access,
    { pool: 'rbd', image: 't1' },
    { options: [], ...request },
    Deadline.after(10_000),
  );
  return result.finally(() => expect(readFileSync(join(roots.sysRoot, 'bus/rbd/add'), 'utf8')).toBe('\n'));
}

describe('an image that is mapped already', () => {
  test('is adopted by its fsid, without asking a resolver or a monitor', async () => {
    const { mapping, isNew } = await map(
      [linux61(0, { cluster_fsid: OTHER_FSID }), linux61(1)],
      { fsid: FSID },
      'no.such.host.invalid',
    );
    expect([mapping.index, isNew]).toEqual([1, false]);
  });

  test('is adopted by a monitor it was mapped with, while the fsid is not known yet', async () => {
    const { mapping } = await map([linux61(0)], {}, '10.66.9.1 127.0.0.1:1');
    expect(mapping.index).toBe(0);
  });

  test('is adopted on Linux 4.4 by what debugfs says', async () => {
    const trees = [linux44(0), debugClient(FSID, 'client4270', ['10.66.9.1:6789'])];
    expect((await map(trees, { fsid: FSID }, '127.0.0.1:1', '4.4.0+2')).mapping.index).toBe(0);
  });

  test('is left alone when it may be of another cluster', async () => {
    const error = await failureOf('device-ambiguous', () => map([linux44(0)], { fsid: FSID }, '10.66.9.1', '4.4.0+2'));
    expect(error.message).toContain('/dev/rbd0');
  });

  test('is refused with features an SR must not have', async () => {
    const error = await failureOf('image-features', () => map([linux61(0, { features: '0x5' })], { fsid: FSID }));
    expect(error.message).toContain('rbd feature disable rbd/t1 exclusive-lock');
  });
});

describe('an image that is not mapped', () => {
  test('of another cluster only: monitors are asked, and nothing is mapped when none answers', async () => {
    await failureOf('monitor-unreachable', () => map([linux61(0, { cluster_fsid: OTHER_FSID })], { fsid: FSID }));
  });

  test('with a key that the kernel cannot use: nobody is asked, and nothing is mapped', async () => {
    const error = await failureOf('kernel-unsupported', () => map([], {}, '127.0.0.1:1', '4.4.0+10', 'aes256k'));
    expect(error.message).toContain('ceph auth rotate --key-type aes client.xen');
  });

  test('host names that do not resolve are named', async () => {
    const error = await failureOf('dns', () => map([], {}, 'no.such.host.invalid'));
    expect(error.message).toContain('no.such.host.invalid');
  });

  test('options this kernel is too old for are named before anything is asked', async () => {
    await failureOf('kernel-unsupported', () =>
      map([], { options: parseMapOptions('rxbounce') }, '127.0.0.1:1', '4.19.0+1'),
    );
  });
});
