import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';

test('for clean-up there are a few seconds even after the deadline, and what is left of a longer one', () => {
  const spent = Deadline.after(0).forCleanUp();
  expect(spent.expired).toBe(false);
  expect(spent.leftMs).toBeGreaterThan(3000);
  expect(spent.leftMs).toBeLessThanOrEqual(5000);
  expect(Deadline.after(60_000).forCleanUp().leftMs).toBeGreaterThan(50_000);
});
