import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { Krbd } from '../../../src/ceph/krbd/krbd.ts';
import { deviceNumbers } from '../../../src/system/io/block-node.ts';
import { failureOf } from '../../support/expect-error.ts';
import { type KrbdStandIn, krbdStandIn } from '../../support/krbd/krbd-stand-in.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';

/** As Linux 3.10 is: `ro` in sysfs says nothing until somebody has opened the device. */
const root = mkdtempSync(join(tmpdir(), 'rbdsr-first-open-'));
const loop = loopDevice(16 * MiB);
const RO = join(root, 'sys/block/rbd0/ro');
/** What the kernel was told. */
const READ_ONLY = /,ro[, ]/;
const krbd = new Krbd({
  sysRoot: `${root}/sys`,
  devRoot: `${root}/dev`,
  lockDir: `${root}/locks`,
  kernelLog: '/dev/null',
});
let kernel: KrbdStandIn;
beforeAll(async () => {
  const { major, minor } = deviceNumbers(statSync(loop.device).rdev);
  const attributes = { major: String(major), minor: String(minor), size: String(16 * MiB) };
  kernel = await krbdStandIn(root, { device: loop.device, attributes });
});
afterAll(async () => {
  await kernel[Symbol.asyncDispose]();
  loop[Symbol.dispose]();
  rmSync(root, { recursive: true });
});

async function map(readOnly: boolean) {
  const access = { monitors: parseMonitors(kernel.monitor), user: 'xen', key: sampleKey('aes') };
  return krbd.map(access, { pool: 'rbd', image: 't1' }, { options: [], readOnly }, Deadline.after(30_000));
}

/** A mapping that a probe has left, which nobody has opened since. */
beforeEach(async () => {
  const { isNew } = await map(true);
  expect([isNew, readFileSync(RO, 'utf8')]).toEqual([true, '1\n']);
  writeFileSync(RO, '0\n');
  let ended = false;
  const watch = (): void => {
    if (ended) return;
    if (isOpenHere()) writeFileSync(RO, READ_ONLY.test(krbd.list()[0]?.configInfo ?? '') ? '1\n' : '0\n');
    setImmediate(watch);
  };
  watch();
  return async () => {
    ended = true;
    for (const mapping of krbd.list()) await krbd.unmap(mapping, Deadline.after(30_000));
  };
});

/** Each step of an opening, a read and a closing is a turn of this process's loop. */
function isOpenHere(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === loop.device;
    } catch {
      return false;
    }
  });
}

test('is not taken for one that can be written to: it is mapped anew', async () => {
  const { isNew, mapping } = await map(false);
  expect(isNew).toBe(true);
  expect(mapping.configInfo).not.toMatch(READ_ONLY);
  execFileSync('dd', ['if=/dev/zero', `of=${mapping.device}`, 'bs=4096', 'count=1', 'oflag=direct'], {
    stdio: 'ignore',
  });
});

test('is refused, and said to be read-only, while somebody has it open', async () => {
  const reader = spawn('sh', ['-c', `exec 3<${loop.device}; echo open; exec sleep 60`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(reader.stdout, 'data');
  try {
    const { message } = await failureOf('device-busy', () => map(false));
    expect(message).toContain('is mapped read-only');
    expect(message).toContain('sleep');
  } finally {
    reader.kill();
    await once(reader, 'exit');
  }
});

test('is adopted by another probe', async () => {
  expect((await map(true)).isNew).toBe(false);
});
