import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { freezeProcess, thawProcess } from '../../../lab/machine/program.ts';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiActivate, vdiCreate } from '../../../lab/xapi-double/vdi-operations.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { lockHolder, takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';

function marksOf(vdi: Row): string[] {
  return Object.keys(mapOf(vdi, 'sm_config')).filter((key) => /^host_|^activating$/.test(key));
}

/**
 * A disk that the second host's vdi_activate gets 4 s for, and cannot activate: another process has the lock of its
 * count.
 */
async function heldDisk(pool: LoopPool) {
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  appendFileSync(`${pool.root(1)}/etc/rbdsr/rbdsr.conf`, 'deadline.vdi_activate = 4\n');
  const sr = stringOf(double.db.get('SR', srRef), 'uuid');
  const path = `${pool.root(1)}/var/lock/sm/lvm-${sr}/${stringOf(vdi, 'uuid')}`;
  mkdirSync(dirname(path), { recursive: true });
  const lock = await takeRecordLock(path, { wait: false, deadline: Deadline.after(0) });
  onTestFinished(() => lock.release());
  const activate = (): Promise<void> => vdiActivate(double, double.hosts[1]?.ref ?? '', vdi.ref, { writable: true });
  return { vdi, activate };
}

test('a vdi_activate that runs out of time leaves no mark that keeps other hosts from the disk', async () => {
  await using pool = await loopPool();
  const { vdi, activate } = await heldDisk(pool);
  await expect(activate()).rejects.toThrow(/FAILURE_/);
  // The answer may be there before the worker has put everything back.
  await Deadline.after(8000).until(() => (marksOf(vdi).length === 0 ? true : undefined), 'the marks to go');
});

test('nor does one that comes back after its answer was given, when xapi has ended its session', async () => {
  await using pool = await loopPool();
  const { double } = pool;
  const { vdi, activate } = await heldDisk(pool);
  const answer = expect(activate()).rejects.toThrow(/FAILURE_/);
  const marked = (): true | undefined => (marksOf(vdi).length === 2 ? true : undefined);
  await Deadline.after(8000).until(marked, 'the marks of the activation');
  const worker = lockHolder(`${pool.root(1)}/var/lock/sm/${stringOf(vdi, 'uuid')}/vdi`)?.pid ?? 0;
  // As good as one that the kernel does not let go.
  await freezeProcess(worker);
  onTestFinished(() => void (existsSync(`/proc/${worker}`) && process.kill(worker, 'SIGKILL')));
  await answer;
  expect(marksOf(vdi)).toHaveLength(2);
  const sessions = double.sessions.size;
  thawProcess(worker);
  await Deadline.after(20_000).until(() => (marksOf(vdi).length === 0 ? true : undefined), 'the marks to go');
  const ended = (): true | undefined => (existsSync(`/proc/${worker}`) ? undefined : true);
  await Deadline.after(20_000).until(ended, 'the worker to end');
  expect(double.sessions.size).toBe(sessions);
  expect(double.offences).toEqual([]);
});
