import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../../src/base/error.ts';
import { readKernelMessages } from '../../../src/ceph/krbd/kernel-messages.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { mapFailure } from '../../../src/ceph/krbd/map-failure.ts';

const MISMATCH =
  "libceph: mon0 10.0.0.1:6789 feature set mismatch, my 106b84a842a42 < server's 40106b84a842a42, missing 400000000000000";
const AUTH = "libceph: auth protocol 'cephx' mauth authentication failed: -13";

function failure(errno: string, lines: readonly string[] = [], release = '6.1.0', answering?: number) {
  return mapFailure({
    spec: { pool: 'rbd', image: 'img' },
    user: 'xen',
    monitors: '10.0.0.1:6789',
    errno,
    findings: readKernelMessages(lines),
    kernel: kernelTraits(release),
    ...(answering === undefined ? {} : { answering }),
  });
}

describe('a refused mapping becomes a named error', () => {
  test.each<[string, string[], ErrorCode, string]>([
    ['ENOENT', ['rbd: pool rbd does not exist'], 'pool-missing', '"rbd"'],
    ['ENOENT', ['rbd: image rbd/img does not exist'], 'image-missing', 'rbd/img'],
    ['ENOENT', [], 'image-missing', 'rbd/img'],
    [
      'ENXIO',
      ['rbd: image img: image uses unsupported features: 0x40'],
      'image-features',
      'rbd feature disable rbd/img journaling',
    ],
    ['ENXIO', [], 'image-features', 'rbd/img'],
    ['EACCES', [AUTH], 'cluster-auth', 'client.xen'],
    ['EPERM', [], 'cluster-auth', 'client.xen'],
    ['EINVAL', [AUTH], 'cluster-auth', 'client.xen'],
    ['ETIMEDOUT', [], 'monitor-unreachable', '10.0.0.1:6789'],
    ['ETIMEDOUT', [MISMATCH], 'cluster-incompatible', 'ceph osd crush tunables hammer'],
    ['EIO', [MISMATCH], 'cluster-incompatible', 'ceph osd set-require-min-compat-client'],
    ['ETIMEDOUT', ['libceph: connect to 10.0.0.1:3300 got bad banner'], 'cluster-incompatible', 'ms_bind_msgr1'],
    [
      'EINVAL',
      ['libceph: corrupt full osdmap (-22) epoch 5404 off 2782'],
      'cluster-incompatible',
      'set-require-min-compat-client',
    ],
    ['EINVAL', ["rbd: Unknown parameter 'rxbounce'"], 'kernel-unsupported', 'rxbounce'],
    ['ESHUTDOWN', [], 'cluster-auth', 'blocklist'],
    ['ENOMEM', [], 'io', 'ENOMEM'],
    ['EINVAL', ['libceph: no secret set (for auth_x protocol)'], 'cluster-auth', 'no key of client.xen'],
    [
      'EIO',
      ['libceph: mon0 192.0.2.1:6789 socket closed (con state CONNECTING)'],
      'monitor-unreachable',
      'msgr v2 (3300)',
    ],
    [
      'ETIMEDOUT',
      ['libceph: osd3 192.0.2.1:6801 socket closed (con state CONNECTING)'],
      'osd-unresponsive',
      'OSD osd3',
    ],
    ['ETIMEDOUT', ['libceph: osd3 192.0.2.1:6801 wrong peer at address'], 'osd-unresponsive', 'not the OSD'],
  ])('%s with %j is %s', (errno, lines, code, named) => {
    const error = failure(errno, lines);
    expect(error.code).toBe(code);
    expect(error.message).toContain(named);
  });

  test('a message that does not go with the errno belongs to another mapping of the host', () => {
    expect(failure('ENOENT', ['rbd: image img: image uses unsupported features: 0x40']).code).toBe('image-missing');
    expect(failure('ENXIO', ['rbd: pool other does not exist']).code).toBe('image-features');
  });

  test('a kernel that does not say which is missing is not guessed for', () => {
    const error = failure('ENOENT', [], '3.10.0');
    expect(error.message).toContain('no pool "rbd", or no image rbd/img');
  });

  test('when monitors answered a moment before, the OSDs are to blame', () => {
    expect(failure('ETIMEDOUT', [], '6.1.0', 2).code).toBe('osd-unresponsive');
  });
});
