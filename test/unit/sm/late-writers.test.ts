import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { srUuid } from '../../../src/base/ids.ts';
import { WorkResources } from '../../../src/sr/work/work-resources.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import { lockHolder } from '../../../src/system/locks/record-lock.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { canTake, OtherHolder, stockHookPasses } from '../../support/stock-locks.ts';
import { place, usePlugin } from './plugin-process.ts';
import { requestText, SR } from './request-text.ts';

const plugin = usePlugin();
const OTHER_SR = SR.replaceAll('1', '9');

/**
 * A host with the SR attached, whose image has a FIFO for its node: whoever opens it sits in a system call until
 * somebody opens its other end.
 */
function hostWithStuckImage(settings: string): { readonly root: string; readonly node: string } {
  const root = plugin.host('8.2', settings);
  const spec = { pool: 'xen', image: 'sr1' };
  place(root, `/var/run/rbdsr/sr/${SR}.json`, JSON.stringify({ spec, allocation: 'thin', fsid: 'f' }));
  const mapped = { pool: 'xen', name: 'sr1', major: '7', size: '0', cluster_fsid: 'f' };
  for (const [name, text] of Object.entries(mapped)) place(root, `/sys/bus/rbd/devices/0/${name}`, text);
  place(root, '/dev/null', '');
  execFileSync('mkfifo', [join(root, 'dev/rbd0')]);
  return { root, node: join(root, 'dev/rbd0') };
}

function faultOf(stdout: string): { readonly faultCode?: number; readonly faultString?: string } {
  const answer = decodeResponse(stdout);
  return 'fault' in answer ? answer.fault : {};
}

test('a worker that is stuck on its device: once it is answered for, HA gets the locks, and nothing of ours touches the SR', async () => {
  const { root, node } = hostWithStuckImage('deadline = 2\n');
  const lockDir = join(root, 'var/lock/sm');
  const launched = plugin.launch(root, requestText('sr_update'));
  const worker = await vi.waitFor(() => lockHolder(`${lockDir}/${SR}/sr`)?.pid ?? expect.fail('not locked yet'), 5000);
  const late = faultOf((await launched).stdout);
  expect(late.faultCode).toBe(47);
  expect(late.faultString).toContain(`Its process ${worker} stays`);
  expect(await stockHookPasses(lockDir, SR, 1000)).toBe(true);
  expect(existsSync(`/proc/${worker}`)).toBe(true);

  for (const command of ['sr_update', 'sr_scan', 'sr_detach', 'vdi_activate', 'vdi_deactivate'] as const) {
    const running = plugin.run(root, [requestText(command, { args: ['true'] })]);
    // Waiting for the late writer, it is not in HA's way either.
    if (command === 'sr_scan') expect(await stockHookPasses(lockDir, SR, 1000)).toBe(true);
    const { faultCode, faultString } = faultOf((await running).stdout);
    expect({ command, faultCode }).toEqual({ command, faultCode: 37 });
    expect(faultString).toMatch(new RegExp(`found pid ${worker} \\(rbdsr sm sr_update\\) since 20\\S+Z \\(\\d+ s\\)`));
  }
  const elsewhere = await plugin.run(root, [requestText('sr_detach', { sr_uuid: OTHER_SR })]);
  expect(faultOf(elsewhere.stdout).faultCode).not.toBe(37);

  closeSync(openSync(node, constants.O_WRONLY | constants.O_NONBLOCK));
  await vi.waitFor(() => expect(existsSync(`/proc/${worker}`)).toBe(false), { timeout: 10_000 });
  rmSync(node);
  const after = faultOf((await plugin.run(root, [requestText('sr_update')])).stdout);
  expect(after.faultCode).not.toBe(37);
}, 60_000);

function resourcesOn(root: string, ms: number): WorkResources {
  return new WorkResources({
    subject: { srMaster: true, srUuid: srUuid(SR) },
    title: 'sr_update',
    profile: hostProfile('8.3b', { commandDeadlineSeconds: {} }, root),
    deadline: Deadline.after(ms),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    waiting() {},
  });
}

test('a late writer that comes while the lock of the SR is waited for is waited for without that lock', async () => {
  const root = plugin.host('8.3b');
  const lockDir = join(root, 'var/lock/sm');
  const sr = await OtherHolder.of(`${lockDir}/${SR}/sr`, 'alone');
  const resources = resourcesOn(root, 30_000);
  const taking = resources.lockOwnSr();
  const late = await OtherHolder.of(join(root, `var/run/rbdsr/late/${SR}.lock`), 'shared');
  await sr[Symbol.asyncDispose]();
  expect(await stockHookPasses(lockDir, SR, 2000)).toBe(true);
  let taken = false;
  void taking.then(() => (taken = true));
  expect(taken).toBe(false);
  await late[Symbol.asyncDispose]();
  await taking;
  expect(await stockHookPasses(lockDir, SR, 500)).toBe(false);
  await resources.releaseLocks();
  expect(await stockHookPasses(lockDir, SR, 2000)).toBe(true);
});

test('two late writers of one SR hold the lock together, and none of them takes a lock of the SR any more', async () => {
  const root = plugin.host('8.3b');
  const lockDir = join(root, 'var/lock/sm');
  const resources = resourcesOn(root, 30_000);
  await resources.lockOwnSr();
  const running = await resources.lock(SR, 'running');
  const vdi = await resources.lock('9'.repeat(8), 'vdi');
  await using _other = await OtherHolder.of(join(root, `var/run/rbdsr/late/${SR}.lock`), 'shared');
  await resources.becomeLate();
  expect(await stockHookPasses(lockDir, SR, 2000)).toBe(true);
  // What is not HA's stays: the disk is still being worked on.
  expect(await canTake([vdi.path], 500)).toBe(false);
  await expect(resources.lock(SR, 'running')).rejects.toMatchObject({ code: 'deadline' });
  expect(await stockHookPasses(lockDir, SR, 2000)).toBe(true);
  await running.release();
  await resources.releaseLocks();
});

test('one that is late while it only reads holds up nobody, and goes no further', async () => {
  const root = plugin.host('8.3b');
  const lockDir = join(root, 'var/lock/sm');
  const resources = resourcesOn(root, 30_000);
  await resources.lockOwnSr();
  let answer: (header: string) => void = () => undefined;
  const work = vi.fn(() => new Promise<string>((resolve) => (answer = resolve)));
  const gone = expect(resources.reading(srUuid(SR), work)).rejects.toMatchObject({ code: 'deadline' });
  await vi.waitFor(() => expect(work).toHaveBeenCalled());
  await resources.becomeLate();
  expect(await stockHookPasses(lockDir, SR, 2000)).toBe(true);
  place(root, `/var/run/rbdsr/late/${SR}.lock`, '');
  expect(await canTake([join(root, `var/run/rbdsr/late/${SR}.lock`)], 2000)).toBe(true);
  // Which another reader of all of it is told by.
  expect(await canTake([join(root, `var/run/rbdsr/late/${SR}.reader.lock`)], 500)).toBe(false);
  answer('late');
  await gone;
  await resources.releaseLocks();
});

test('nor does one whose read failed by its deadline; what it reads again is answered at once while one is late', async () => {
  const root = plugin.host('8.3b');
  const resources = resourcesOn(root, 30_000);
  await resources.lockOwnSr();
  await expect(resources.reading(srUuid(SR), () => Promise.reject(new Error('no answer')))).rejects.toThrow(
    'no answer',
  );
  await resources.becomeLate();
  place(root, `/var/run/rbdsr/late/${SR}.lock`, '');
  expect(await canTake([join(root, `var/run/rbdsr/late/${SR}.lock`)], 2000)).toBe(true);
  await resources.releaseLocks();

  await using _late = await OtherHolder.of(join(root, `var/run/rbdsr/late/${SR}.reader.lock`), 'shared');
  const second = resourcesOn(root, 30_000);
  await second.lockOwnSr();
  await expect(second.reading(srUuid(SR), () => Promise.resolve('read'))).rejects.toMatchObject({ code: 'lock-busy' });
  await second.releaseLocks();
});

test('one that is well although a read has not come back in its time is a late reader until it ends', async () => {
  const root = plugin.host('8.3b');
  const resources = resourcesOn(root, 30_000);
  await resources.lockOwnSr();
  const late = new RbdsrError('deadline', { what: 'waited 1 s for the header of VHD-1' });
  await expect(resources.reading(srUuid(SR), () => Promise.reject(late))).rejects.toBe(late);
  await resources.releaseLocks();
  expect(await stockHookPasses(join(root, 'var/lock/sm'), SR, 2000)).toBe(true);
  expect(await canTake([join(root, `var/run/rbdsr/late/${SR}.reader.lock`)], 500)).toBe(false);
  place(root, `/var/run/rbdsr/late/${SR}.lock`, '');
  expect(await canTake([join(root, `var/run/rbdsr/late/${SR}.lock`)], 2000)).toBe(true);
});

test('who reads one disk is not kept by one that is late in reading all', async () => {
  const root = plugin.host('8.3b');
  await using _late = await OtherHolder.of(join(root, `var/run/rbdsr/late/${SR}.reader.lock`), 'shared');
  const resources = resourcesOn(root, 30_000);
  await resources.awaitLateWriters();
  const read = resources.reading(srUuid(SR), () => Promise.resolve('read'), { whole: false });
  expect(await read).toBe('read');
  await resources.releaseLocks();
});

test('one that has read, and writes, is a late writer again', async () => {
  const root = plugin.host('8.3b');
  const resources = resourcesOn(root, 30_000);
  await resources.lockOwnSr();
  expect(await resources.reading(srUuid(SR), () => Promise.resolve('read'))).toBe('read');
  await resources.becomeLate();
  expect(await canTake([join(root, `var/run/rbdsr/late/${SR}.lock`)], 500)).toBe(false);
  await resources.releaseLocks();
});

test('one that ends by an error is a late writer first: its threads may still write', async () => {
  const root = plugin.host('8.3b');
  const lockDir = join(root, 'var/lock/sm');
  const late = join(root, `var/run/rbdsr/late/${SR}.lock`);
  place(root, `/var/run/rbdsr/late/${SR}.lock`, '');
  const before = process.listeners('exit');
  const resources = resourcesOn(root, 30_000);
  await resources.lockOwnSr();
  const own = process.listeners('exit').filter((listener) => !before.includes(listener));
  expect(own).toHaveLength(1);
  expect(await canTake([late], 2000)).toBe(true);
  // As the end of this process would; its files stay open as those of one that is stuck do.
  own[0]?.(1);
  expect(await stockHookPasses(lockDir, SR, 2000)).toBe(true);
  expect(await canTake([late], 500)).toBe(false);
  await resources.releaseLocks();
});
