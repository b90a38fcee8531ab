import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { mapImage } from '../../../src/ceph/krbd/map-image.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { failureOf } from '../../support/expect-error.ts';
import { debugClient, FSID, linux44, linux61, OTHER_FSID, recorded, writeTree } from '../../support/recorded-sysfs.ts';

const undo: (() => void)[] = [];
afterEach(() => undo.splice(0).forEach((each) => each()));

/** A `/sys` whose `add` takes a line only when somebody reads it, as the kernel's waits for the cluster. */
function slowSysfs() {
  const roots = recorded({ 'bus/rbd/remove': '', 'bus/rbd/supported_features': '0x1bf' });
  undo.push(() => roots.remove());
  const add = join(roots.sysRoot, 'bus/rbd/add');
  execFileSync('mkfifo', [add]);
  return { roots, add };
}

/** Of a cluster that answers; `asked` runs when somebody comes to ask. */
async function monitor(asked = (): void => {}): Promise<string> {
  const server: Server = createServer((socket) => {
    asked();
    socket.on('error', () => {}).write('ceph v027\0\0\0');
  });
  undo.push(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('what the kernel maps after the deadline is unmapped at once, under the lock of the image', async () => {
  const { roots, add } = slowSysfs();
  const lockDir = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-locks-'));
  undo.push(() => rmSync(lockDir, { recursive: true }));
  const host = { roots, lockDir, kernelLog: '/dev/null', kernel: kernelTraits('6.1.0') };
  const access = { monitors: parseMonitors(await monitor()), user: 'xen', key: sampleKey('aes') };

  await failureOf('deadline', () =>
    mapImage(host, access, { pool: 'rbd', image: 't1' }, { options: [] }, Deadline.after(700)),
  );

  // The cluster answers at last: the kernel takes the line, and there is a device.
  writeTree(roots, linux61(3));
  expect(await readFile(add, 'utf8')).toMatch(/ rbd t1 -$/);
  await expect.poll(() => readFileSync(join(roots.sysRoot, 'bus/rbd/remove'), 'utf8').trim()).toBe('3');
  expect(await isFree(lockDir)).toBe(false);

  rmSync(join(roots.sysRoot, 'bus/rbd/devices/3'), { recursive: true });
  await expect.poll(() => isFree(lockDir)).toBe(true);
});

test.each([
  ['that tells of the cluster', [debugClient(FSID, 'client4270', ['10.66.9.1:6789'])], 'mapped'],
  ['that does not', [], 'device-ambiguous'],
  ['that tells of another one', [debugClient(OTHER_FSID, 'client4270', ['10.66.9.1:6789'])], 'image-foreign'],
])('a new mapping on a kernel %s', async (_what, more, expected) => {
  const { roots, add } = slowSysfs();
  const lockDir = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-locks-'));
  undo.push(() => rmSync(lockDir, { recursive: true }));
  const host = { roots, lockDir, kernelLog: '/dev/null', kernel: kernelTraits('3.10.0') };
  // By then it has been looked what is mapped already, and nothing has been mapped.
  const appear = (): void => [linux44(0), ...more].forEach((tree) => writeTree(roots, tree));
  const access = { monitors: parseMonitors(await monitor(appear)), user: 'xen', key: sampleKey('aes') };
  const mapping = mapImage(
    host,
    access,
    { pool: 'rbd', image: 't1' },
    { options: [], fsid: FSID },
    Deadline.after(20_000),
  );
  const outcome = mapping.then(
    () => 'mapped',
    (error: unknown) => (error instanceof RbdsrError ? error.code : String(error)),
  );
  expect(await readFile(add, 'utf8')).toMatch(/ rbd t1 -$/);
  if (expected !== 'mapped') {
    await expect.poll(() => readFileSync(join(roots.sysRoot, 'bus/rbd/remove'), 'utf8').trim()).toBe('0');
    rmSync(join(roots.sysRoot, 'bus/rbd/devices/0'), { recursive: true });
  }
  expect(await outcome).toBe(expected);
});

/** Whether the only lock of the folder can be taken; one that this process holds cannot. */
async function isFree(lockDir: string): Promise<boolean> {
  const [name = ''] = readdirSync(lockDir);
  try {
    const lock = await takeRecordLock(join(lockDir, name), { wait: false, deadline: Deadline.after(0) });
    await lock.release();
    return true;
  } catch {
    return false;
  }
}
