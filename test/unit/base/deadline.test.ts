import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';

test('for clean-up there are a few seconds even after the deadline, and what is left of a longer one', () => {
  const spent = Deadline.after(0).forCleanUp();
  expect(spent.expired).toBe(false);
  expect(spent.leftMs).toBeGreaterThan(3000);
  expect(spent.leftMs).toBeLessThanOrEqual(5000);
  expect(Deadline.after(60_000).forCleanUp().leftMs).toBeGreaterThan(50_000);
});

test.each([30 * 24 * 3600 * 1000, Infinity])(
  'one of %d ms is waited for, and no timer goes off at once',
  async (ms) => {
    const deadline = Deadline.after(ms);
    const work = new Promise((resolve) => setTimeout(resolve, 30, 'done'));
    expect(await deadline.race(work, 'it')).toBe('done');
    expect(await deadline.within(ms).race(Promise.resolve(1), 'it')).toBe(1);
    expect(deadline.leftMs).toBeGreaterThan(24 * 24 * 3600 * 1000);
    expect(deadline.leftMs).toBeLessThanOrEqual(2 ** 31 - 1);
  },
);
