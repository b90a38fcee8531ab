import { expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { isRefused } from '../../../src/sr/image/refused-image.ts';

function failedRead(errno: string): RbdsrError {
  return new RbdsrError('io', { what: `read of /dev/rbd0 failed: ${errno}`, facts: { errno } });
}

test.each(['EIO', 'ESHUTDOWN'])('%s is an answer of the cluster, a refusal', (errno) => {
  expect(isRefused(failedRead(errno))).toBe(true);
});

test('where no answer came, what was written before may still land: nothing is let go', () => {
  expect(isRefused(failedRead('ETIMEDOUT'))).toBe(false);
});

test('neither a range outside the device nor an error of another kind is one', () => {
  expect(isRefused(failedRead('EINVAL'))).toBe(false);
  expect(isRefused(new RbdsrError('deadline', { what: 'EIO', facts: { errno: 'EIO' } }))).toBe(false);
  expect(isRefused(Object.assign(new Error('EIO'), { code: 'EIO' }))).toBe(false);
});
