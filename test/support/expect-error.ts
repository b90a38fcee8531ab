import { expect } from 'vitest';
import { RbdsrError } from '../../src/base/error.ts';
import type { ErrorCode } from '../../src/base/error.ts';

/** Runs `work`, which must fail with this code, and returns the error for a closer look. */
export async function failureOf(code: ErrorCode, work: () => unknown): Promise<RbdsrError> {
  let caught: unknown;
  try {
    await work();
  } catch (error) {
    caught = error;
  }
  if (!(caught instanceof RbdsrError)) throw new Error(`expected ${code}, got ${String(caught)}`);
  expect(caught.code).toBe(code);
  return caught;
}
