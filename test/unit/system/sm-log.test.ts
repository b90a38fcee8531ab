import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createSmLog, smLogLine } from '../../../src/system/sm-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-system-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

const host = hostname().split('.')[0];

test('a line looks like one of syslog', () => {
  const line = smLogLine(new Date(2026, 0, 5, 8, 6, 18), 'RBDSR', 'sr_attach: done');
  expect(line).toBe(`Jan  5 08:06:18 ${host} RBDSR: [${process.pid}] sr_attach: done\n`);
});

test('nothing in a message can make a line of its own or move the cursor', () => {
  const line = smLogLine(new Date(2026, 10, 24, 18, 0, 0), 'RBDSR', 'a\nNov 24 forged\r\x1b[2J\u0085\u2028é\n');
  const text = String.raw`a\nNov 24 forged\x0d\x1b[2J\x85\u2028é`;
  expect(line).toBe(`Nov 24 18:00:00 ${host} RBDSR: [${process.pid}] ${text}\n`);
});

test('appends, follows a rotation, and is silent while the flag is there', () => {
  const path = join(folder, 'SMlog');
  const flag = join(folder, 'no_sm_log');
  writeFileSync(path, 'before\n');
  const log = createSmLog(path, 'RBDSR', flag);
  log.info('one');
  log.error('two');
  renameSync(path, `${path}.1`);
  log.warn('three');
  writeFileSync(flag, '');
  log.error('four');
  expect(messages(`${path}.1`)).toEqual(['before', 'one', 'ERROR: two']);
  expect(messages(path)).toEqual(['WARNING: three']);
});

test('a log that cannot be written is no failure', () => {
  expect(() => createSmLog(join(folder, 'none/SMlog'), 'RBDSR', join(folder, 'none')).info('x')).not.toThrow();
});

function messages(path: string): string[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.replace(/^.*\[\d+\] /, ''));
}
