import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { factorOf } from '../../../lab/machine/machine-speed.mjs';

interface PartTime {
  readonly name: string;
  readonly seconds: number;
  readonly tests: readonly { readonly name: string; readonly seconds: number }[];
}

const { SHARES, sharesTable } = (await import(
  pathToFileURL(join(import.meta.dirname, '../../../scripts/test-shares.mjs')).href
)) as {
  readonly SHARES: Readonly<Record<string, number>>;
  readonly sharesTable: (parts: readonly PartTime[], nodeMs: number) => string[];
};

const tests = Array.from({ length: 12 }, (_, index) => ({ name: `test ${index}`, seconds: index }));

test('every part has a share, and all of them together leave a run its 35 minutes', () => {
  expect(Object.keys(SHARES)).toEqual(['check', 'unit', 'host', 'histories', 'lab']);
  expect(Object.values(SHARES).reduce((sum, seconds) => sum + seconds)).toBeLessThanOrEqual(34 * 60);
});

test('a part within its share is one row, whatever its tests took', () => {
  const lines = sharesTable([{ name: 'unit', seconds: SHARES.unit ?? 0, tests }], 40);
  expect(lines).toHaveLength(2);
  expect(lines.join('\n')).not.toContain('over its share');
});

test('a part over its share is named with its ten slowest tests, the slowest first', () => {
  const lines = sharesTable([{ name: 'host', seconds: (SHARES.host ?? 0) + 1, tests }], 40);
  expect(lines[1]).toMatch(/^host .*12 tests {3}over its share$/);
  expect(lines[2]).toBe('the slowest of host:');
  expect(lines.slice(3).map((line) => line.trim())).toEqual(
    tests
      .toReversed()
      .slice(0, 10)
      .map(({ name, seconds }) => `${seconds.toFixed(1)} s  ${name}`),
  );
});

test('a machine half as fast has twice the share, and says so; a faster one has no less than the share', () => {
  const slow = sharesTable([{ name: 'lab', seconds: 2 * (SHARES.lab ?? 0), tests: [] }], 80);
  expect(slow[0]).toContain('80 ms, so a factor of 2.00');
  expect(slow.join('\n')).not.toContain('over its share');
  expect(factorOf(20)).toBe(1);
});
