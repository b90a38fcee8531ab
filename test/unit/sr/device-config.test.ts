import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../../../src/base/error.ts';
import { parseDeviceConfig } from '../../../src/sr/config/device-config.ts';
import { imageSpecOf } from '../../../src/sr/config/sr-type.ts';

const LEAST = { monitors: '10.0.0.1', password: 'AQBkey==' };
const SECRET = '01234567-89ab-cdef-0123-456789abcdef';

test('the least there can be', () => {
  const { monitors, user, key, options, allocation, ...rest } = parseDeviceConfig(LEAST);
  expect(monitors).toMatchObject([{ host: '10.0.0.1', port: 6789 }]);
  expect({ user, options, allocation }).toEqual({ user: 'admin', options: [], allocation: 'thick' });
  expect(key.kind === 'key' && key.key.reveal()).toBe('AQBkey==');
  expect(rest).toEqual({ monitorsText: '10.0.0.1' });
});

test('everything there can be', () => {
  const config = parseDeviceConfig({
    monitors: 'mon1.example, [fd00::1]:6790',
    pool: 'a pool',
    namespace: 'ns',
    image: 'img',
    user: 'client.xen',
    password_secret: SECRET,
    size: '2TiB',
    data_pool: 'ec data',
    object_size: '8MiB',
    options: 'queue_depth=256,osd_request_timeout=60',
    allocation: 'thin',
    multipathing: 'true',
    multipathhandle: 'dmp',
  });
  expect(config).toMatchObject({
    pool: 'a pool',
    namespace: 'ns',
    image: 'img',
    user: 'xen',
    key: { kind: 'secret', uuid: SECRET },
    sizeBytes: 2 * 1024 ** 4,
    layout: { dataPool: 'ec data', objectBytes: 8 * 1024 ** 2 },
    options: [
      { name: 'queue_depth', value: '256' },
      { name: 'osd_request_timeout', value: '60' },
    ],
    allocation: 'thin',
  });
  expect(config.monitors).toHaveLength(2);
});

test('an empty value counts as absent', () => {
  const empty = parseDeviceConfig({
    ...LEAST,
    password_secret: '',
    pool: '',
    size: '',
    data_pool: '',
    object_size: '',
  });
  expect(empty).not.toHaveProperty('pool');
  expect(empty).not.toHaveProperty('layout');
});

describe('what is missing or odd is named', () => {
  test.each([
    ['no monitors', { password: 'x' }, 'config-missing', /^device-config monitors is missing/],
    ['no key', { monitors: '10.0.0.1' }, 'config-missing', /^device-config password is missing/],
    ['two keys', { ...LEAST, keyring: '/etc/k' }, 'config-invalid', /has password and keyring; expected one of/],
    ['a monitor that is none', { ...LEAST, monitors: 'a:b' }, 'config-invalid', /^device-config monitors: .*"a:b"/],
    ['a size that is none', { ...LEAST, size: 'big' }, 'config-invalid', /^device-config size: .*"big"/],
    ['objects of no size', { ...LEAST, object_size: 'big' }, 'config-invalid', /^device-config object_size: .*"big"/],
    ['objects of 3 MiB', { ...LEAST, object_size: '3MiB' }, 'config-invalid', /object_size .*a power of two.*"3MiB"/],
    ['objects of 64 MiB', { ...LEAST, object_size: '64MiB' }, 'config-invalid', /from 4 KiB to 32 MiB/],
    ['an option that is ours', { ...LEAST, options: 'name=x' }, 'config-invalid', /^device-config options: /],
    ['an unknown option', { ...LEAST, options: 'foo' }, 'config-invalid', /^device-config options: .*"foo"/],
    ['a user with a comma', { ...LEAST, user: 'a,b' }, 'config-invalid', /^device-config user: .*"a,b"/],
    ['an allocation', { ...LEAST, allocation: 'Thick' }, 'config-invalid', /expected thick or thin; found "Thick"/],
    ['a relative keyring', { monitors: 'a', keyring: 'k' }, 'config-invalid', /expected an absolute path; found "k"/],
    [
      'a mistyped key',
      { ...LEAST, monitor: 'x' },
      'config-invalid',
      /does not know; expected only monitors,.*"monitor"/,
    ],
    ['an inherited name', { ...LEAST, toString: 'x' }, 'config-invalid', /found "toString"/],
    ['line ends in a key', { ...LEAST, 'a\nb': 'x' }, 'config-invalid', /found "a\\x0ab"/],
  ] as const)('%s', (_what, record, code, says) => {
    const parse = () => parseDeviceConfig({ ...record });
    expect(parse).toThrow(expect.objectContaining({ code, message: expect.stringMatching(says) }));
  });

  test('a key given where its secret belongs does not show', () => {
    const error = failure(() => parseDeviceConfig({ monitors: 'a', password_secret: 'AQBhunter2==' }));
    expect(hasCode(error, 'config-invalid')).toBe(true);
    expect(inspect(error)).toContain('12 characters');
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
  });
});

describe('which image', () => {
  test('the default namespace is not named', () => {
    const config = parseDeviceConfig({ ...LEAST, pool: 'p', image: 'a/b@c' });
    expect(imageSpecOf(config)).toEqual({ pool: 'p', image: 'a/b@c' });
  });

  test.each([
    [{ image: 'i' }, 'config-missing', /^device-config pool is missing/],
    [{ pool: 'p' }, 'config-missing', /^device-config image is missing/],
    [{ pool: 'p', image: 'a b' }, 'image-unmappable', /a space/],
  ] as const)('%j', (record, code, says) => {
    const config = parseDeviceConfig({ ...LEAST, ...record });
    expect(() => imageSpecOf(config)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(says) }));
  });
});

function failure(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('no failure');
}
