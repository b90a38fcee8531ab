import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { deviceNumbers, makeBlockNode } from '../../../src/system/io/block-node.ts';
import { ensureModule } from '../../../src/system/kernel.ts';
import { addKernelKey } from '../../../src/system/libc/keyring.ts';
import { describeOpeners, openersOf } from '../../../src/system/openers.ts';
import { processFacts } from '../../../src/system/processes.ts';
import { runChecked } from '../../../src/system/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-system-host-'));
const soon = (): Deadline => Deadline.after(30_000);

afterAll(() => rmSync(folder, { recursive: true }));

describe.each([512, 4096])('a loop device with sectors of %i bytes', (sector) => {
  const image = join(folder, `image-${sector}`);
  let device = '';

  beforeAll(async () => {
    writeFileSync(image, '');
    truncateSync(image, 8 * MiB);
    const args = ['--find', '--show', '--sector-size', String(sector), image];
    device = (await runChecked('losetup', args, { deadline: soon() })).trim();
  });

  afterAll(async () => {
    await runChecked('losetup', ['--detach', device], { deadline: soon() });
  });

  test('is read and written at any offset past the page cache', async () => {
    const io = await openBlockIo(device, 'write');
    expect(io.size).toBe(8 * MiB);
    const data = Buffer.alloc(10_000, 'abc');
    await Promise.all([
      io.write(4096, Buffer.alloc(8192, 1)),
      io.write(20_001, data),
      io.write(8 * MiB - 3, Buffer.alloc(3, 9)),
    ]);
    await io.flush();
    expect((await io.read(20_001, 10_000)).equals(data)).toBe(true);
    expect([...(await io.read(8 * MiB - 5, 5))]).toEqual([0, 0, 9, 9, 9]);
    await expect(io.read(8 * MiB, 1)).rejects.toMatchObject({ code: 'io' });
    await io.close();
    const written = readFileSync(image);
    const expected = Buffer.alloc(8 * MiB)
      .fill(1, 4096, 4096 + 8192)
      .fill(9, 8 * MiB - 3);
    data.copy(expected, 20_001);
    expect(written.equals(expected)).toBe(true);
  });

  test('is refused to a second exclusive opener, who learns who has it', async () => {
    const first = await openBlockIo(device, 'write', { exclusive: true });
    await expect(openBlockIo(device, 'write', { exclusive: true })).rejects.toMatchObject({ code: 'device-busy' });
    await (await openBlockIo(device, 'read')).close();
    await first.close();
    await (await openBlockIo(device, 'write', { exclusive: true })).close();
  });

  test('its openers are found by path, by numbers and by another node', async () => {
    const other = join(folder, `node-${sector}`);
    const { major, minor } = deviceNumbers(statSync(device).rdev);
    makeBlockNode(other, major, minor);
    makeBlockNode(other, major, minor);
    expect(statSync(other).mode & 0o777).toBe(0o600);
    expect(openersOf(device)).toEqual({ processes: [], holders: [], mountPoints: [] });
    expect(describeOpeners(openersOf(device))).toBeUndefined();
    const handle = await open(other, 'r');
    const sleeper = spawn('sleep', ['60'], { stdio: [handle.fd, 'ignore', 'ignore'] });
    await once(sleeper, 'spawn');
    await handle.close();
    const pid = sleeper.pid ?? 0;
    const found = await soon().until(
      () => openersOf(device).processes.find(({ command }) => command === 'sleep'),
      'sleep',
    );
    expect(found).toEqual({ pid, command: 'sleep', startedBy: processFacts(process.pid)?.command });
    expect(describeOpeners(openersOf({ major, minor }))).toBe(`pid ${pid} (sleep)`);
    sleeper.kill('SIGKILL');
    await once(sleeper, 'exit');
  });
});

test('a node is replaced when it is of another device', () => {
  const path = join(folder, 'node');
  makeBlockNode(path, 251, 70_000);
  expect(deviceNumbers(statSync(path).rdev)).toEqual({ major: 251, minor: 70_000 });
  makeBlockNode(path, 4095, 1, 0o640);
  expect(deviceNumbers(statSync(path).rdev)).toEqual({ major: 4095, minor: 1 });
  writeFileSync(join(folder, 'file'), 'precious');
  expect(() => makeBlockNode(join(folder, 'file'), 251, 0)).toThrow('EEXIST');
});

test('a module the kernel has needs no program, and one it lacks is named', async () => {
  await ensureModule('loop', soon());
  await expect(ensureModule('rbdsr-no-such', soon())).rejects.toMatchObject({
    code: 'kernel-module-missing',
    detail: { facts: { module: 'rbdsr-no-such' } },
  });
});

// /proc/keys lists what this process may see.
test('a key is there until it is revoked, for every thread', async () => {
  const name = `rbdsr-test-${process.pid}`;
  const key = await addKernelKey('user', name, new Secret('hunter2'));
  expect(readFileSync('/proc/keys', 'utf8')).toContain(`${name}: 7`);
  await key.revoke();
  await key.revoke();
  expect(readFileSync('/proc/keys', 'utf8')).not.toContain(`${name}: 7`);
});

test.skipIf(existsSync('/sys/module/libceph'))('a kernel without the key type says so', async () => {
  const adding = addKernelKey('ceph', 'client.x', new Secret('hunter2'));
  await expect(adding).rejects.toMatchObject({ code: 'kernel-unsupported' });
  await expect(adding).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') });
});
