import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import { parseHostSettings } from '../../../src/dom0/host-settings.ts';
import { serialiser } from '../../../src/dom0/lvm-lock.ts';

let root: string;
let device: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rbdsr-lvm-lock-'));
  device = join(root, 'device');
  writeFileSync(device, Buffer.alloc(8192));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function lockOf(id: '7.3' | '8.2' | '8.3b', of = device): ReturnType<typeof serialiser> {
  const profile = hostProfile(id, parseHostSettings('', 'none'), root);
  return serialiser({ profile, waiting: () => {} }, of);
}

const FAIRLOCK = '/run/fairlock/devicemapper';
const UNIT = '/usr/lib/systemd/system/fairlock@.service';

test('a host whose storage manager serialises nothing, and one without the service', () => {
  expect(lockOf('7.3')(Deadline.after(1000))).toBeUndefined();
  expect(lockOf('8.3b')(Deadline.after(1000))).toBeUndefined();
});

test("8.2's lock is a file", async () => {
  mkdirSync(join(root, 'var/lock/sm/.nil'), { recursive: true });
  const lock = await lockOf('8.2')(Deadline.after(1000));
  expect(lock?.path).toBe(join(root, 'var/lock/sm/.nil/lvm'));
  await lock?.release();
});

test('a service that does not run yet is started, not passed over', async () => {
  mkdirSync(dirname(root + UNIT), { recursive: true });
  writeFileSync(root + UNIT, '');
  // Here there is nothing that could be started.
  await expect(lockOf('8.3b')(Deadline.after(500))).rejects.toMatchObject({
    code: 'lock-busy',
    detail: { facts: { path: root + FAIRLOCK, reason: 'ENOENT' } },
  });
});

test('one that runs serves, and is not asked while the device does not answer', async () => {
  mkdirSync(dirname(root + FAIRLOCK), { recursive: true });
  let asked = 0;
  const service = createServer((socket) => {
    asked += 1;
    socket.on('error', () => {}).write('LOCK\0');
  });
  await new Promise<void>((resolve) => service.listen(root + FAIRLOCK, resolve));
  try {
    const lock = await lockOf('8.3b')(Deadline.after(5000));
    expect(lock?.path).toBe(root + FAIRLOCK);
    await lock?.release();
    const dead = lockOf('8.3b', join(root, 'no-device'))(Deadline.after(5000));
    await expect(dead).rejects.toThrow('no-device');
    expect(asked).toBe(1);
  } finally {
    service.close();
  }
});
