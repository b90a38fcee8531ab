import { describe, expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { COMMAND_NAMES, findCommand } from '../../../src/sm/commands.ts';
import { faultString } from '../../../src/sm/protocol/error-numbers.ts';
import { faultOf } from '../../../src/sm/protocol/fault.ts';

describe('the number of a failure', () => {
  const failed = new RbdsrError('program-failed', { what: 'lvcreate failed' });

  test.each([
    ['sr_scan', 40],
    ['vdi_create', 78],
    ['vdi_delete', 80],
    ['vdi_attach', 46],
    ['vdi_detach', 46],
    ['vdi_activate', 46],
    ['vdi_deactivate', 46],
    ['vdi_resize', 110],
    ['vdi_resize_online', 110],
    ['vdi_snapshot', 82],
    ['vdi_clone', 81],
    ['sr_attach', 202],
    ['vdi_update', 202],
  ])('a program that fails in %s: %i, as sm SRCommand.py has it', (name, number) => {
    const command = findCommand(name);
    expect(faultOf(failed, command === undefined ? {} : { command }).faultCode).toBe(number);
  });

  test('what nobody foresaw: 1200, and 202 where xapi does not know it', () => {
    expect(faultOf(new TypeError('x is not a function'), {}).faultCode).toBe(1200);
    const profile = { unforeseenErrorNumber: 202 };
    expect(faultOf(new TypeError('x is not a function'), { profile }).faultCode).toBe(202);
  });

  test.each([
    ['vdi-in-use', 24],
    ['unimplemented', 38],
    ['sr-not-empty', 39],
    ['vdi-missing', 144],
    ['not-master', 58],
    ['invalid-secret', 20],
  ] as const)('%s: %i, to which xapi gives a meaning', (code, number) => {
    expect(faultOf(new RbdsrError(code, { what: 'x' }), {}).faultCode).toBe(number);
  });
});

describe('the text of a failure', () => {
  test('a description, then the detail', () => {
    expect(faultOf(new RbdsrError('not-master', { what: 'no', expected: 'yes', todo: 'Ask.' }), {}).faultString).toBe(
      'The request must come from the pool master [opterr=no; expected yes. Ask.]',
    );
    expect(faultString(39, '')).toBe('The SR is not empty');
  });

  test.each([...new Set(COMMAND_NAMES.map((name) => findCommand(name)?.defaultNumber ?? 0))])(
    '%i has one',
    (number) => {
      expect(faultString(number, '')).not.toMatch(/^Storage error/);
    },
  );
});
