import { afterEach, describe, expect, test } from 'vitest';
import { Krbd } from '../../../src/ceph/krbd/krbd.ts';
import { controlFiles, listMappings, supportedFeatures } from '../../../src/ceph/krbd/krbd-sysfs.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { failureOf } from '../../support/expect-error.ts';
import { debugClient, FSID, linux310, linux44, linux61, OTHER_FSID, recorded } from '../../support/recorded-sysfs.ts';
import type { Tree } from '../../support/recorded-sysfs.ts';

const made: { remove(): void }[] = [];
afterEach(() => made.splice(0).forEach((tree) => tree.remove()));

function tree(...trees: Tree[]) {
  const roots = recorded(...trees);
  made.push(roots);
  return roots;
}

const t1 = { pool: 'rbd', image: 't1' };

describe('what is mapped', () => {
  test('Linux 6.1: everything, and no key', () => {
    const [mapping, ...rest] = listMappings(tree(linux61(0)));
    expect(rest).toEqual([]);
    expect(mapping).toEqual({
      index: 0,
      device: '/dev/rbd0',
      major: 254,
      minor: 0,
      spec: t1,
      fsid: FSID,
      clientId: 'client4270',
      clientAddress: '10.66.9.1:0/3232529558',
      sizeBytes: 2_147_483_648,
      features: 1,
      monitors: ['10.66.9.1:6789'],
      configInfo: '10.66.9.1:6789 name=xen,secret=***,noshare,mount_timeout=8 rbd t1 -',
    });
  });

  test('namespaces and snapshots are part of the identity', () => {
    const roots = tree(linux61(0, { pool_ns: 'ns1' }), linux61(1, { current_snap: 's1' }), linux61(10));
    expect(listMappings(roots).map(({ index, spec }) => [index, spec])).toEqual([
      [0, { ...t1, namespace: 'ns1' }],
      [1, { ...t1, snapshot: 's1' }],
      [10, t1],
    ]);
  });

  test('Linux 4.4: the cluster comes from debugfs', () => {
    const [mapping] = listMappings(tree(linux44(0), debugClient(FSID, 'client4270', ['10.66.9.1:6789'])));
    expect(mapping?.fsid).toBe(FSID);
    expect(mapping?.monitors).toEqual(['10.66.9.1:6789']);
  });

  test('Linux 4.4 without debugfs: the cluster is not told', () => {
    const [mapping] = listMappings(tree(linux44(0)));
    expect(mapping).toMatchObject({ index: 0, spec: t1, monitors: [] });
    expect(mapping).not.toHaveProperty('fsid');
  });

  test('one client id in two clusters tells nothing', () => {
    const roots = tree(linux44(0), debugClient(FSID, 'client4270', []), debugClient(OTHER_FSID, 'client4270', []));
    expect(listMappings(roots)[0]).not.toHaveProperty('fsid');
  });

  test('client4270 is not client14270', () => {
    const roots = tree(linux44(0), debugClient(OTHER_FSID, 'client14270', []), debugClient(FSID, 'client4270', []));
    expect(listMappings(roots)[0]?.fsid).toBe(FSID);
  });

  test('Linux 3.10: every device has a major number and minor 0', () => {
    const found = listMappings(tree(linux310(0), linux310(1)));
    expect(found.map(({ major, minor }) => [major, minor])).toEqual([
      [251, 0],
      [250, 0],
    ]);
  });

  test('a monmap of 5.11 and later names the protocol before the address', () => {
    const roots = tree(
      linux61(0, { config_info: '' }),
      debugClient(FSID, 'client4270', ['(1)10.66.9.1:6789', '(2)[fd00::1]:3300']),
    );
    expect(listMappings(roots)[0]?.monitors).toEqual(['10.66.9.1:6789', '[fd00::1]:3300']);
  });

  test('nothing at all without the module', () => {
    expect(listMappings(tree())).toEqual([]);
    expect(controlFiles(tree())).toBeUndefined();
  });
});

describe('which mapping is meant', () => {
  const find = (trees: Tree[], fsid?: string, spec = t1) =>
    new Krbd({ sysRoot: tree(...trees).sysRoot }).find(spec, fsid);

  test('the exact name: vol1 beside vol10 and xvol1', () => {
    const trees = ['vol10', 'vol1', 'xvol1'].map((name, index) => linux61(index, { name }));
    expect(find(trees, FSID, { pool: 'rbd', image: 'vol1' })?.index).toBe(1);
    expect(find(trees, FSID, { pool: 'rbd', image: 'vol' })).toBeUndefined();
    expect(find(trees, FSID, { pool: 'rbd2', image: 'vol1' })).toBeUndefined();
  });

  test('the cluster decides between two of one name', () => {
    const trees = [linux61(0, { cluster_fsid: OTHER_FSID }), linux61(1)];
    expect(find(trees, FSID)?.index).toBe(1);
    expect(find([linux61(0, { cluster_fsid: OTHER_FSID })], FSID)).toBeUndefined();
  });

  test('two of one cluster are refused, naming the devices', async () => {
    const error = await failureOf('device-ambiguous', () => find([linux61(0), linux61(1)], FSID));
    expect(error.message).toContain('/dev/rbd0');
    expect(error.message).toContain('/dev/rbd1');
  });

  test('what an old kernel does not tell is refused, not guessed', async () => {
    const error = await failureOf('device-ambiguous', () => find([linux44(0)], FSID));
    expect(error.message).toContain('debugfs');
  });
});

describe('what the kernel offers', () => {
  test('add_single_major where it exists, else add', () => {
    const old = tree({ 'bus/rbd/add': '', 'bus/rbd/remove': '' });
    expect(controlFiles(old)?.add).toBe(`${old.sysRoot}/bus/rbd/add`);
    const newer = tree({ 'bus/rbd/add': '', 'bus/rbd/add_single_major': '', 'bus/rbd/remove_single_major': '' });
    expect(controlFiles(newer)?.remove).toBe(`${newer.sysRoot}/bus/rbd/remove_single_major`);
  });

  test("its own word on features wins over the table's", () => {
    expect(supportedFeatures(tree({ 'bus/rbd/supported_features': '0x1bf' }), kernelTraits('3.10.0'))).toBe(0x1bf);
    expect(supportedFeatures(tree(), kernelTraits('3.10.0'))).toBe(1);
  });
});
