import { describe, expect, test } from 'vitest';
import { formatMonitors, parseMonitors } from '../../../src/ceph/monitors.ts';
import { failureOf } from './expect-error.ts';

describe('a list of monitors', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1:6789'],
    ['10.0.0.1:6790', '10.0.0.1:6790'],
    [
      '10.0.0.1,10.0.0.2;10.0.0.3 10.0.0.4\n10.0.0.5',
      '10.0.0.1:6789,10.0.0.2:6789,10.0.0.3:6789,10.0.0.4:6789,10.0.0.5:6789',
    ],
    ['fd00::1', '[fd00::1]:6789'],
    ['[fd00::1]', '[fd00::1]:6789'],
    ['[fd00::1]:3300', '[fd00::1]:3300'],
    ['::ffff:10.0.0.1', '[::ffff:a00:1]:6789'],
    ['mon1.example:6789, Mon1.Example', 'mon1.example:6789'],
    ['10.0.0.1, 10.0.0.1:6789', '10.0.0.1:6789'],
    ['FD00:0::1 [fd00::0:1]:6789', '[fd00::1]:6789'],
    [' ,, 10.0.0.1 , ', '10.0.0.1:6789'],
  ])('%j is %s', (text, formatted) => {
    expect(formatMonitors(parseMonitors(text))).toBe(formatted);
  });

  test.each([
    '',
    ' , ',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '10.0.0.1:port',
    '10.0.0.256',
    '10.0.0',
    '[10.0.0.1]:6789',
    '[fd00::1',
    '[fd00::1%eth0]:6789',
    'fd00::1::2',
    'a_b.-c',
    'host name:1:2',
    '10.0.0.1=name',
    '$(reboot)',
  ])('%j is refused', async (text) => {
    await failureOf('config-invalid', () => parseMonitors(text));
  });

  test('the refusal names the entry', async () => {
    const error = await failureOf('config-invalid', () => parseMonitors('10.0.0.1, bad:addr:ess'));
    expect(error.message).toContain('bad:addr:ess');
  });
});
