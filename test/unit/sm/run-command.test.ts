import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { runCommand } from '../../../src/sm/run-command.ts';
import type { CallDirectory } from '../../../src/system/call-directory.ts';
import { lockHolder, takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { stockHookPasses } from '../../support/stock-locks.ts';
import { usePlugin } from './plugin-process.ts';
import { requestText, SR } from './request-text.ts';

const plugin = usePlugin();

describe('an exclusive command', () => {
  test('waits for the SR lock until its deadline, then says who holds it', async () => {
    const root = plugin.host('8.3b', 'deadline = 1\n');
    await using lock = await takeRecordLock(`${root}/var/lock/sm/${SR}/sr`, {
      wait: false,
      deadline: Deadline.after(0),
    });
    const { stdout, code } = await plugin.run(root, [requestText('sr_update')]);
    expect(code).toBe(0);
    const answer = decodeResponse(stdout);
    expect(answer).toMatchObject({ fault: { faultCode: 37 } });
    expect(stdout).toContain(lock.path);
    expect(stdout).toMatch(new RegExp(`pid ${process.pid} \\(.*\\) since \\d{4}-`));
  });

  test('of another SR does not wait', async () => {
    const root = plugin.host('8.3b', 'deadline = 1\n');
    await using lock = await takeRecordLock(`${root}/var/lock/sm/${SR}/sr`, {
      wait: false,
      deadline: Deadline.after(0),
    });
    const other = SR.replaceAll('1', '9');
    const { stdout } = await plugin.run(root, [requestText('vdi_epoch_end', { sr_uuid: other })]);
    expect(decodeResponse(stdout)).toEqual({ value: null });
    expect(lockHolder(lock.path)).toBeUndefined();
  });
});

test('after a failure HA has the SR, and none of our commands before the process has ended: something it started may still run', async () => {
  const root = plugin.host('8.3b', 'deadline = 1\n');
  const failed = await runCommand([requestText('sr_update')], { root, callDirectory: undefined });
  expect(failed.faultCode).toBeTypeOf('number');
  expect(await stockHookPasses(`${root}/var/lock/sm`, SR, 2000)).toBe(true);
  const { stdout } = await plugin.run(root, [requestText('sr_update')]);
  expect(decodeResponse(stdout)).toMatchObject({ fault: { faultCode: 37 } });
  expect(stdout).toContain(`pid ${process.pid} `);
});

describe('what the launcher answers for a command that hangs', () => {
  test('follows what is waited for and holds the number of a deadline', async () => {
    const root = mkdtempSync(join(tmpdir(), 'rbdsr-sm-late-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    mkdirSync(join(root, 'etc/rbdsr'), { recursive: true });
    writeFileSync(join(root, 'etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='u'\n");
    const { directory, waits, deadlines } = recorder();
    const { stdout } = await runCommand([requestText('sr_update')], { root, callDirectory: directory });
    expect(stdout).toContain('<methodResponse>');
    expect(deadlines).toEqual([90]);
    const faults = waits.map((document) => {
      const answer = decodeResponse(document);
      return 'fault' in answer ? answer.fault : undefined;
    });
    expect(faults.map((fault) => fault?.faultCode)).toEqual(waits.map(() => 47));
    expect(faults[0]?.faultString).toMatch(
      /sr_update waited \d+ s for the storage; found no answer by the deadline of 90 s/,
    );
    expect(faults[1]?.faultString).toMatch(new RegExp(`waited \\d+ s for the lock ${root}/var/lock/sm/${SR}/sr`));
    expect(faults[1]?.faultString).toContain(`Its process ${process.pid} stays`);
  });

  test('is the host setting for that command where there is one', async () => {
    const root = plugin.host('8.2', 'deadline = 50\ndeadline.vdi_epoch_end = 70\n');
    const { directory, deadlines } = recorder();
    await runCommand([requestText('vdi_epoch_end')], { root, callDirectory: directory });
    await runCommand([requestText('vdi_epoch_begin')], { root, callDirectory: directory });
    expect(deadlines).toEqual([70, 50]);
  });
});

function recorder(): { directory: CallDirectory; waits: string[]; deadlines: number[] } {
  const waits: string[] = [];
  const deadlines: number[] = [];
  const directory: CallDirectory = {
    answer() {},
    waitingFor: (document) => void waits.push(document),
    setDeadline: (seconds) => void deadlines.push(seconds),
    finish() {},
  };
  return { directory, waits, deadlines };
}
