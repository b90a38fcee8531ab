import { describe, expect, test } from 'vitest';
import { messageOfRecord } from '../../../src/ceph/krbd/kernel-log.ts';
import { readKernelMessages } from '../../../src/ceph/krbd/kernel-messages.ts';

describe('messages of the kernel', () => {
  // Captured from Linux 6.1.0-56-amd64 against Ceph 16.2.15.
  test.each([
    ['rbd: pool nopool does not exist', { kind: 'pool-missing' }],
    ['rbd: image rbd/nope does not exist', { kind: 'image-missing' }],
    ['rbd: snap rbd/t1@nosnap does not exist', { kind: 'snapshot-missing' }],
    ['rbd: image feat: image uses unsupported features: 0x40', { kind: 'image-features', bits: 0x40 }],
    ["libceph: auth protocol 'cephx' mauth authentication failed: -13", { kind: 'auth', errno: 13 }],
    ['libceph: Failed due to key not found: nonesuch', { kind: 'no-key' }],
    ['libceph: mon0 (2)10.66.9.1:6789 server is speaking msgr1 protocol', { kind: 'msgr1-only' }],
    ["rbd: Unknown parameter 'frobnicate'", { kind: 'unknown-option', option: 'frobnicate' }],
  ])('captured: %s', (line, finding) => {
    expect(readKernelMessages([line])).toEqual([finding]);
  });

  // From public reports of older kernels and newer clusters.
  test.each([
    [
      "libceph: mon0 192.168.0.1:6789 feature set mismatch, my 106b84a842a42 < server's 40106b84a842a42, missing 400000000000000",
      { kind: 'feature-mismatch', missing: 0x400000000000000n },
    ],
    ['libceph: mon0 192.168.0.1:6789 missing required protocol features', { kind: 'feature-mismatch', missing: 0n }],
    ["libceph: auth method 'x' error -1", { kind: 'auth', errno: 1 }],
    [
      'libceph: corrupt full osdmap (-22) epoch 5404 off 2782 (ffffc900033b9ade of ffffc900033b9000-ffffc900033bba42)',
      { kind: 'map-undecodable' },
    ],
    ['libceph: connect to 10.0.0.1:3300 got bad banner', { kind: 'msgr2-only' }],
    ['libceph: no secret set (for auth_x protocol)', { kind: 'no-key' }],
    [
      'libceph: mon1 (1)192.0.2.9:6789 wrong peer at address',
      { kind: 'wrong-peer', peer: 'mon1', address: '192.0.2.9:6789' },
    ],
    [
      'libceph: osd3 [fd00::9]:6801 wrong peer at address',
      { kind: 'wrong-peer', peer: 'osd3', address: '[fd00::9]:6801' },
    ],
    [
      'libceph: mon0 192.0.2.1:6789 socket closed (con state CONNECTING)',
      { kind: 'closed', peer: 'mon0', address: '192.0.2.1:6789' },
    ],
    [
      'rbd: rbd0: failed to blocklist client3363889: -13',
      { kind: 'fence-refused', client: 'client3363889', errno: 13 },
    ],
    ['rbd: rbd0: failed to blacklist client33: -13', { kind: 'fence-refused', client: 'client33', errno: 13 }],
    ['libceph: Failed to parse secret: -524', { kind: 'key-refused', errno: 524 }],
  ])('reported: %s', (line, finding) => {
    expect(readKernelMessages([line])).toEqual([finding]);
  });

  test('what goes well or says nothing is no finding', () => {
    expect(
      readKernelMessages([
        'libceph: mon0 (1)10.66.9.1:6789 session established',
        'libceph: client4270 fsid 62c2d501-2b1a-4299-8cc4-e1af5c4b677c',
        'rbd: rbd0: capacity 2147483648 features 0x1',
        'libceph: mon0 (1)10.66.9.77:6789 socket closed (con state V1_BANNER)',
      ]),
    ).toEqual([]);
  });

  test('a record of /dev/kmsg is its message', () => {
    expect(messageOfRecord('3,1024,8247300,-;rbd: pool a;b does not exist\n SUBSYSTEM=block\n')).toBe(
      'rbd: pool a;b does not exist',
    );
  });
});
