import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiActivate, vdiCreate } from '../../../lab/xapi-double/vdi-operations.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { takeRecordLock } from '../../../src/system/record-lock.ts';
import { loopPool } from '../../support/loop-pool.ts';

test('a vdi_activate that runs out of time leaves no mark that keeps other hosts from the disk', async () => {
  await using pool = await loopPool();
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  appendFileSync(`${pool.root(1)}/etc/rbdsr/rbdsr.conf`, 'deadline.vdi_activate = 4\n');
  const sr = stringOf(double.db.get('SR', srRef), 'uuid');
  const path = `${pool.root(1)}/var/lock/sm/lvm-${sr}/${stringOf(vdi, 'uuid')}`;
  mkdirSync(dirname(path), { recursive: true });
  await using _lock = await takeRecordLock(path, { wait: false, deadline: Deadline.after(0) });
  const host = double.hosts[1]?.ref ?? '';
  await expect(vdiActivate(double, host, vdi.ref, { writable: true })).rejects.toThrow(/FAILURE_/);
  const marks = (): string[] => Object.keys(mapOf(vdi, 'sm_config')).filter((key) => /^host_|^activating$/.test(key));
  // The answer may be there before the worker has put everything back.
  await Deadline.after(8000).until(() => (marks().length === 0 ? true : undefined), 'the marks to go');
});
