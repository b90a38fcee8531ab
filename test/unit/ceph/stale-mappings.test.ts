import { afterAll, describe, expect, test } from 'vitest';
import { listMappings } from '../../../src/ceph/krbd/krbd-sysfs.ts';
import { staleMappings } from '../../../src/ceph/krbd/stale-mappings.ts';
import { FSID, linux61, OTHER_FSID, recorded } from '../../support/recorded-sysfs.ts';

const roots = recorded(
  linux61(0),
  linux61(1, { name: 't2' }),
  linux61(2, { name: 't3' }),
  linux61(3),
  linux61(4, { cluster_fsid: OTHER_FSID }),
);
afterAll(() => roots.remove());
const mappings = listMappings(roots);
const claims = [
  { srUuid: 'sr-one', spec: { pool: 'rbd', image: 't1' }, fsid: FSID, attached: true },
  { srUuid: 'sr-two', spec: { pool: 'rbd', image: 't2' }, fsid: FSID, attached: false },
];

describe('mappings that no attached SR accounts for', () => {
  test('each is explained', () => {
    const found = staleMappings(mappings, claims, ({ index }) => (index === 2 ? 'pid 12 (dd)' : undefined));
    expect(found.map(({ mapping, reason }) => [mapping.index, reason])).toEqual([
      [1, 'sr-detached'],
      [2, 'unclaimed'],
      [3, 'double'],
      [4, 'unclaimed'],
    ]);
    expect(found[0]?.explanation).toContain('sr-two');
    expect(found[1]?.explanation).toContain('in use by pid 12 (dd)');
    expect(found[1]?.explanation).not.toContain('rbdsr unmap');
  });
});
