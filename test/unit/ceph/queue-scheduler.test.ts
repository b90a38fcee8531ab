import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { leaveOrderToCeph } from '../../../src/ceph/krbd/queue-scheduler.ts';

const sysRoot = mkdtempSync(join(tmpdir(), 'rbdsr-scheduler-'));
const file = join(sysRoot, 'block/rbd3/queue/scheduler');
mkdirSync(join(file, '..'), { recursive: true });
afterAll(() => rmSync(sysRoot, { recursive: true }));

test.each([
  ['Linux 4.19 and 6.1', '[mq-deadline] kyber bfq none\n', 'none'],
  ['Linux 4.4, whose client has no choice', 'none\n', 'none'],
  ['Linux 3.10', 'noop deadline [cfq] \n', 'noop'],
  ['as it is to be already: nothing is written', '[none] mq-deadline\n', '[none] mq-deadline\n'],
  ['neither of them', 'deadline [cfq]\n', 'deadline [cfq]\n'],
])('%s', async (_kernel, before, after) => {
  writeFileSync(file, before);
  await leaveOrderToCeph({ sysRoot }, 3);
  expect(readFileSync(file, 'utf8').slice(0, after.length)).toBe(after);
});

test('a device that has gone', async () => {
  await expect(leaveOrderToCeph({ sysRoot }, 4)).resolves.toBeUndefined();
});
