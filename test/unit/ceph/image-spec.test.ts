import { describe, expect, test } from 'vitest';
import { checkMappable, formatSpec, sameSpec } from '../../../src/ceph/image/image-spec.ts';
import { failureOf } from '../../support/expect-error.ts';

describe('what the kernel can map', () => {
  test.each(['img', '-x', '--help', 'a/b', 'a@b', 'q\'uo"te', 'ünï', '$(id)', ';', '../..', '\u00a0', 'a,b'])(
    'image %j',
    (image) => {
      expect(() => checkMappable({ pool: 'p', image })).not.toThrow();
    },
  );

  test.each([
    [{ pool: 'my pool', image: 'i' }, 'a space'],
    [{ pool: 'p', image: 'a\tb' }, 'a tab'],
    [{ pool: 'p', image: 'a\nb' }, 'a line feed'],
    [{ pool: 'p', image: 'a\vb' }, 'a vertical tab'],
    [{ pool: 'p', image: 'a\0b' }, 'a NUL'],
    [{ pool: 'p', namespace: 'a,b', image: 'i' }, 'a comma'],
    [{ pool: 'p', image: '' }, 'empty'],
    [{ pool: 'p', image: 'i', snapshot: '-' }, '"-"'],
    [{ pool: 'p', image: 'x'.repeat(2000) }, 'longer'],
  ])('%j is refused, naming what stands in the way', async (spec, named) => {
    const error = await failureOf('image-unmappable', () => checkMappable(spec));
    expect(error.message).toContain(named);
  });
});

test('a message shows control characters escaped', () => {
  expect(formatSpec({ pool: 'p\n', namespace: 'n', image: '\u001b[31mé\\', snapshot: 's' })).toBe(
    String.raw`p\x0a/n/\x1b[31mé\\@s`,
  );
});

test('an absent namespace is the empty one, and no other', () => {
  expect(sameSpec({ pool: 'p', image: 'i' }, { pool: 'p', namespace: '', image: 'i' })).toBe(true);
  expect(sameSpec({ pool: 'p', image: 'i' }, { pool: 'p', namespace: 'n', image: 'i' })).toBe(false);
  expect(sameSpec({ pool: 'p', image: 'i' }, { pool: 'p', image: 'i', snapshot: 's' })).toBe(false);
  expect(sameSpec({ pool: 'p', image: 'vol1' }, { pool: 'p', image: 'vol10' })).toBe(false);
});
