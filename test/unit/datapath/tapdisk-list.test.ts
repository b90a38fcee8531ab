import { expect, test } from 'vitest';
import { isPaused, parseServing, parseTapdisks, pidsWithoutMinor } from '../../../src/datapath/tapdisk/tapdisk-list.ts';

test('a line of a running tapdisk', () => {
  expect(parseTapdisks('pid=2705 minor=0 state=0 args=vhd:/dev/sm/phy/a/b\n')).toEqual([
    { pid: 2705, minor: 0, state: 0, image: { kind: 'vhd', path: '/dev/sm/phy/a/b' } },
  ]);
});

test('the image path may hold spaces, equals signs and colons', () => {
  const [only] = parseTapdisks('pid=1 minor=2 state=2a args=aio:/a b/ c=1:d.iso\n');
  expect(only).toEqual({ pid: 1, minor: 2, state: 0x2a, image: { kind: 'aio', path: '/a b/ c=1:d.iso' } });
});

test('any field may be a dash or missing', () => {
  expect(parseTapdisks('pid=- minor=3 state=- args=-\npid=77 minor=- state=0x20 args=-\nminor=5\n')).toEqual([
    { minor: 3, state: 0 },
    { pid: 77, state: 0x20 },
    { minor: 5, state: 0 },
  ]);
});

test('only bit 0x20 is paused', () => {
  expect([0x10, 0x20, 0x2c, 0x1f].map((state) => isPaused({ state }))).toEqual([false, true, true, false]);
});

test.each([
  'pid=x minor=1 state=0 args=-',
  'tapdisk 3',
  'pid=1 minor=1 state=zz args=-',
  'pid=1 minor=1 state=0 args=vhd',
])('refuses %j', (line) => {
  expect(() => parseTapdisks(`${line}\n`)).toThrow(/is not understood/);
});

test('nothing runs: nothing is listed', () => {
  expect(parseTapdisks('')).toEqual([]);
  expect(parseTapdisks('\n')).toEqual([]);
});

test("what other drivers' files are called does not matter for ours", () => {
  const text = 'pid=1 minor=0 state=0 args=aio:/a\nb.iso\npid=2 minor=1 state=0 args=vhd:/dev/VG/VHD-1\nminor=2\n';
  expect(() => parseTapdisks(text)).toThrow(/is not understood/);
  expect(parseServing(text, (path) => path === '/dev/VG/VHD-1')).toMatchObject([{ pid: 2, minor: 1 }]);
});

test('a tapdisk that is listed with its pid alone is told from one that has a minor', () => {
  const text = 'pid=12\npid=7 minor=0 state=0 args=vhd:/dev/VG/VHD-1\npid=8 minor=1 state=0x2\nminor=3\npid=345\n';
  expect(pidsWithoutMinor(text)).toEqual([12, 345]);
});
