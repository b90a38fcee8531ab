import { describe, expect, test } from 'vitest';
import { ByteReader } from '../../../src/ceph/wire/byte-reader.ts';
import { ByteWriter } from '../../../src/ceph/wire/byte-writer.ts';
import { crc32c } from '../../../src/ceph/wire/crc32c.ts';
import { decrypt, encrypt } from '../../../src/ceph/wire/cephx-cipher.ts';
import { failureOf } from '../../support/expect-error.ts';

const reader = (bytes: Uint8Array): ByteReader => new ByteReader(Buffer.from(bytes), 'the sample');

describe('what is written is read again', () => {
  test('every kind of field', () => {
    const body = new ByteWriter().u8(7).text('ünï').done();
    const bytes = new ByteWriter().u8(255).u16(65_535).u32(4_294_967_295).u64(-2n).versioned(3, 1, body).done();
    const read = reader(bytes);
    expect([read.u8('a'), read.u16('b'), read.u32('c'), read.s64('d')]).toEqual([255, 65_535, 4_294_967_295, -2n]);
    const { version, body: inner } = read.versioned('e');
    expect([version, inner.u8('f'), inner.text('g'), inner.left, read.left]).toEqual([3, 7, 'ünï', 0, 0]);
  });
});

describe('no number of a peer reaches behind what it sent', () => {
  test.each([
    ['a field', (read: ByteReader) => read.u64('size')],
    ['a length', (read: ByteReader) => read.blob('name')],
    ['a count', (read: ByteReader) => read.list('names', 4, () => read.u32('name'))],
    ['a body', (read: ByteReader) => read.versioned('entry')],
  ])('%s', async (_what, take) => {
    const error = await failureOf('control-plane-failed', () => Promise.resolve(take(reader(Buffer.alloc(7, 255)))));
    expect(error.message).toContain('the sample is not understood');
  });

  test('a number that JavaScript cannot hold', async () => {
    await failureOf('control-plane-failed', () => Promise.resolve(reader(Buffer.alloc(8, 255)).number('size')));
  });
});

/** RFC 3720, B.4, whose checksums are inverted at both ends. */
test.each([
  ['32 bytes of zeroes', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 255), 0x62a8ab43],
  ['32 bytes counted up', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
])('the checksum of %s', (_what, bytes, expected) => {
  expect(~crc32c(0xffffffff, bytes) >>> 0).toBe(expected);
});

test('what one key encrypts, another does not open', () => {
  const sealed = encrypt(Buffer.alloc(16, 1), Buffer.from('payload'));
  expect(decrypt(Buffer.alloc(16, 1), sealed, 'it')?.rest().toString()).toBe('payload');
  expect(decrypt(Buffer.alloc(16, 2), sealed, 'it')).toBeUndefined();
  expect(decrypt(Buffer.alloc(16, 1), sealed.subarray(1), 'it')).toBeUndefined();
});
