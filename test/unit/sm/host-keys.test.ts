import { expect, test } from 'vitest';
import { activeHosts, conflictingHosts, heldBackBy, isAbandoned } from '../../../src/sm/host-keys.ts';

const US = 'OpaqueRef:us';
const THEM = 'OpaqueRef:them';
const marks = (us: string | undefined, them: string | undefined, more: Record<string, string> = {}) => ({
  ...(us === undefined ? {} : { [`host_${US}`]: us }),
  ...(them === undefined ? {} : { [`host_${THEM}`]: them }),
  'vhd-parent': 'x',
  ...more,
});

test('the marks name the hosts', () => {
  expect(activeHosts(marks('RW', 'RO'))).toEqual([US, THEM]);
  expect(activeHosts(marks(undefined, undefined))).toEqual([]);
});

test.each([
  [true, undefined, []],
  [true, 'RO', [THEM]],
  [true, 'RW', [THEM]],
  [false, 'RO', []],
  [false, 'RW', [THEM]],
])('one who writes excludes all others: we write: %s, they have it %s', (writable, them, expected) => {
  expect(conflictingHosts(marks('RW', them), US, writable)).toEqual(expected);
});

test.each([
  [{ paused: 'true' }, false, 'paused'],
  [{ relinking: 'True' }, true, 'relinking'],
  [{ relinking: 'True' }, false, undefined],
  [{ activating: 'True' }, true, undefined],
])('%j holds a VDI back on a version with these keys (%s): %s', (more, hasKeys, expected) => {
  expect(heldBackBy(marks(undefined, undefined, more), hasKeys)).toBe(expected);
});

test("`activating` is nobody's after a while without a mark", () => {
  const activating = marks(undefined, undefined, { activating: 'True' });
  expect(isAbandoned(activating, 1000)).toBe(false);
  expect(isAbandoned(activating, 16_000)).toBe(true);
  expect(isAbandoned(marks(undefined, 'RO', { activating: 'True' }), 16_000)).toBe(false);
});
