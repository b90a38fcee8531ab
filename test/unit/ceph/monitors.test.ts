import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatMonitor, formatMonitors, parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { failureOf } from '../../support/expect-error.ts';

const FIELD = join(import.meta.dirname, '../../fixtures/field');

interface Entry {
  readonly file: string;
  readonly what: string;
  readonly command: string;
  readonly right: { readonly refused?: boolean; readonly monitors?: readonly string[] };
}

const LISTS = (JSON.parse(readFileSync(join(FIELD, 'cluster.json'), 'utf8')) as Entry[]).filter(
  ({ command }) => command === 'read a list of monitors',
);

test.each(LISTS)('$file: $what', async ({ file, right }) => {
  const text = readFileSync(join(FIELD, file), 'utf8');
  if (right.refused === true) {
    const { message } = await failureOf('config-invalid', () => parseMonitors(text));
    expect(message).toContain(text.trim());
  } else expect(parseMonitors(text).map(formatMonitor)).toEqual(right.monitors);
});

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
    ['v2:10.0.0.1, v1:10.0.0.2', '10.0.0.1:3300,10.0.0.2:6789'],
    ['[v2:10.0.0.1:3300/0]', '10.0.0.1:3300'],
    ['[v1:10.0.0.1:6789/0,v2:10.0.0.1:3300/0];fd00::1', '10.0.0.1:6789,[fd00::1]:6789'],
    ['any:10.0.0.1:6790/12', '10.0.0.1:6790'],
    ['[v2:mon-a:3300,v1:mon-a:6789]', 'mon-a:6789'],
    // A host with that name.
    ['v1, v2:6790', 'v1:6789,v2:6790'],
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
    '10.0.0.0/24',
    '10.0.0.1:6789/x',
    'v1:v1:10.0.0.1:6789',
    '[v2:10.0.0.1:3300,]:6789',
    '[v2:]',
    '[v2:10.0.0.1:3300][v1:10.0.0.1:6789]',
    '[[v2:10.0.0.1:3300]]',
  ])('%j is refused', async (text) => {
    await failureOf('config-invalid', () => parseMonitors(text));
  });

  test('the refusal names the entry', async () => {
    const error = await failureOf('config-invalid', () => parseMonitors('10.0.0.1, bad:addr:ess'));
    expect(error.message).toContain('bad:addr:ess');
  });
});
