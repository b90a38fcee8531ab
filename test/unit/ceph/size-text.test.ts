import { expect, test } from 'vitest';
import { parseSize } from '../../../src/ceph/image/size-text.ts';
import { failureOf } from '../../support/expect-error.ts';

test.each([
  ['10737418240', 10_737_418_240],
  ['2TiB', 2 * 1024 ** 4],
  ['2 TB', 2 * 1024 ** 4],
  ['500G', 500 * 1024 ** 3],
  ['1.5gib', 1.5 * 1024 ** 3],
  ['512 B', 512],
  ['7P', 7 * 1024 ** 5],
])('%j is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', '0', '-1G', '1e9', 'G', '1.5', '1 000', '10 XB', '9P', '1GiBs', '0x10'])(
  '%j is refused',
  async (text) => {
    await failureOf('config-invalid', () => parseSize(text));
  },
);
