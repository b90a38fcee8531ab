import { existsSync, readdirSync } from 'node:fs';
import { thawProcess } from '../../../lab/machine/program.ts';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { stopWorkerAt, usePlugin } from './plugin-process.ts';
import { requestText, SR } from './request-text.ts';

const plugin = usePlugin();

test('the launcher passes on what the worker says', async () => {
  const root = plugin.host('8.3b');
  const { code, stdout, stderr } = await plugin.launch(root, requestText('vdi_epoch_end'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(decodeResponse(stdout)).toEqual({ value: null });
});

test('a worker that cannot answer: the launcher says what it waits for, and the worker ends later', async () => {
  const root = plugin.host('8.3b', 'deadline = 3\n');
  const lock = await takeRecordLock(`${root}/var/lock/sm/${SR}/sr`, { wait: false, deadline: Deadline.after(0) });
  const launched = plugin.launch(root, requestText('sr_update'));
  const worker = await stopWorkerAt(root, lock.path);
  const { code, stdout, stderr } = await launched;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const answer = decodeResponse(stdout);
  expect(answer).toMatchObject({ fault: { faultCode: 47 } });
  expect(stdout).toMatch(/sr_update waited [23] s for the lock .*; found no answer by the deadline of 3 s/);
  expect(existsSync(`/proc/${worker}`)).toBe(true);

  await lock.release();
  thawProcess(worker);
  await vi.waitFor(() => expect(existsSync(`/proc/${worker}`)).toBe(false), { timeout: 10_000 });
  expect(readdirSync(join(root, 'run/calls'))).toEqual([]);
});
