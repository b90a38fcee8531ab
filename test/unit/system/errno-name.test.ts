import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errnoName } from '../../../src/system/errno-name.ts';

test('an errno has its name, also where Node has none for it', () => {
  // As Node 20 reports what a write to sysfs answered at Linux 4.19.
  const error = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code });
  expect(errnoName(error('Unknown system error -524'))).toBe('ENOTSUPP');
  expect(errnoName(error('Unknown system error -512'))).toBe('ERESTARTSYS');
  expect(errnoName(error('Unknown system error -9999'))).toBe('errno 9999');
  expect(errnoName(error('ENOENT'))).toBe('ENOENT');
  expect(errnoName(new Error('something else'))).toBeUndefined();
});

test('a real failure', () => {
  let caught: unknown;
  try {
    closeSync(openSync('/no/such/file', 'r'));
  } catch (error) {
    caught = error;
  }
  expect(errnoName(caught)).toBe('ENOENT');
});
