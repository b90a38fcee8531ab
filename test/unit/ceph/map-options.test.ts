import { describe, expect, test } from 'vitest';
import { checkOptionsForKernel, formatMapOption, parseMapOptions } from '../../../src/ceph/krbd/map-options.ts';
import { failureOf } from '../../support/expect-error.ts';

describe('map options', () => {
  test('those allowed come through as they are', () => {
    const text = 'queue_depth=256,osd_request_timeout=60,ms_mode=prefer-crc,nocrc,rxbounce,alloc_size=65536,notrim';
    expect(parseMapOptions(text).map(formatMapOption).join(',')).toBe(text);
    expect(parseMapOptions('')).toEqual([]);
  });

  test.each([
    ['name=admin', 'device-config user'],
    ['secret=x', 'keyring'],
    ['key=x', 'keyring'],
    ['fsid=x', 'cluster'],
    ['ip=1.2.3.4', 'address'],
    ['ro', 'read-only'],
    ['exclusive', 'several hosts'],
    ['lock_on_read', 'several hosts'],
    ['noshare', 'always'],
    ['share', 'fencing'],
    ['_pool_ns=x', 'namespace'],
  ])('%s is ours, and the refusal says why', async (text, reason) => {
    const error = await failureOf('config-invalid', () => parseMapOptions(text));
    expect(error.message).toContain(reason);
  });

  test.each([
    'frobnicate',
    'constructor',
    '__proto__=1',
    'queue_depth',
    'queue_depth=',
    'queue_depth=0',
    'queue_depth=1e3',
    'queue_depth=128 secret',
    'queue_depth=1,queue_depth=2',
    'crc,nocrc',
    'crc=1',
    'alloc_size=65537',
    'ms_mode=anything',
    'osd_request_timeout=-1',
  ])('%j is refused', async (text) => {
    await failureOf('config-invalid', () => parseMapOptions(text));
  });

  test('an option the kernel is too old for is named with the release that brought it', async () => {
    const options = parseMapOptions('queue_depth=64,rxbounce');
    expect(() => checkOptionsForKernel(options, '6.1.0-56-amd64')).not.toThrow();
    const error = await failureOf('kernel-unsupported', () => checkOptionsForKernel(options, '4.19.0+1'));
    expect(error.message).toContain('rxbounce (since Linux 5.17)');
    expect(error.message).not.toContain('queue_depth (');
  });
});
