import { expect, test } from 'vitest';
import { objectHash, placementGroup } from '../../../src/ceph/wire/object-hash.ts';

/** What `ceph osd map` of 16.2.15 says: the hash is `raw_pgid`'s. */
test.each([
  ['', 'rbd_directory', 0x30a98c1c],
  ['', 'a', 0x29eec818],
  ['', 'exactly12byt', 0x4d11656b],
  ['', 'rbd_id.twelve_bytes_and_some_more', 0xbcc056a8],
  ['ns1', 'rbd_directory', 0xb9336250],
])('the hash of %j %s', (namespace, name, hash) => {
  expect(objectHash(namespace, name)).toBe(hash);
});

test.each([
  [0x30a98c1c, 8, 4],
  [0x30a98c1c, 1, 0],
  [13, 12, 5],
  [11, 12, 11],
])('%i of %i groups is %i', (hash, groups, group) => {
  expect(placementGroup(hash, groups)).toBe(group);
});
