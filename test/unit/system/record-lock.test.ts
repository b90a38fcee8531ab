import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { lockHolder, takeRecordLock } from '../../../src/system/locks/record-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-system-lock-'));
let count = 0;
const fresh = (): string => join(folder, 'sr-uuid', `lock-${(count += 1)}`);
const now = { wait: false, deadline: Deadline.after(600_000) };

afterAll(() => rmSync(folder, { recursive: true }));

// What sm's flock.py does, in Python's own words; a line on stdin makes it end.
const PYTHON_HOLDER = `
import fcntl, sys
f = open(sys.argv[1], "w+")
fcntl.lockf(f, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
`;
const PYTHON_TRIES = `
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "w+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("free")
except OSError:
    print("busy")
`;

test('keeps Python out while held, and not after', async () => {
  const path = fresh();
  const lock = await takeRecordLock(path, now);
  expect(await python(PYTHON_TRIES, path)).toBe('busy\n');
  expect(lockHolder(path)).toBeUndefined();
  // Asking for the holder must not have dropped the lock.
  expect(await python(PYTHON_TRIES, path)).toBe('busy\n');
  await lock.release();
  await lock.release();
  expect(await python(PYTHON_TRIES, path)).toBe('free\n');
});

test('is kept out by Python and names the process', async () => {
  const path = fresh();
  await using free = await takeRecordLock(path, now);
  await free.release();
  const holder = await pythonHolder(path);
  const description = new RegExp(`^pid ${holder.pid} \\(python[^)]*\\) since 20\\S+Z \\(\\d+ s\\)$`);
  expect(lockHolder(path)).toEqual({ pid: holder.pid, description: expect.stringMatching(description) as string });
  await expect(takeRecordLock(path, now)).rejects.toMatchObject({
    code: 'lock-busy',
    detail: { found: expect.stringMatching(description) as string, facts: { path, holder: holder.pid } },
  });
  await expect(takeRecordLock(path, { wait: true, deadline: Deadline.after(200) })).rejects.toMatchObject({
    code: 'lock-busy',
  });
  await finish(holder);
});

test('waits until the holder lets go', async () => {
  const path = fresh();
  await (await takeRecordLock(path, now)).release();
  const holder = await pythonHolder(path);
  const taking = takeRecordLock(path, { wait: true, deadline: Deadline.after(20_000) });
  await finish(holder);
  const lock = await taking;
  expect(lock.path).toBe(path);
  await lock.release();
});

test('refuses to be taken twice in one process, by any name of the file', async () => {
  const path = fresh();
  const lock = await takeRecordLock(path, now);
  await expect(takeRecordLock(path, now)).rejects.toMatchObject({ code: 'internal' });
  await expect(takeRecordLock(join(folder, 'x/../sr-uuid', `lock-${count}`), now)).rejects.toMatchObject({
    code: 'internal',
  });
  expect(await python(PYTHON_TRIES, path)).toBe('busy\n');
  await lock.release();
  await (await takeRecordLock(path, now)).release();
});

test('does not settle for a file that was removed while it waited', async () => {
  const path = fresh();
  await (await takeRecordLock(path, now)).release();
  const holder = await pythonHolder(path);
  const taking = takeRecordLock(path, { wait: true, deadline: Deadline.after(20_000) });
  unlinkSync(path);
  await finish(holder);
  await using lock = await taking;
  expect(existsSync(lock.path)).toBe(true);
  expect(await python(PYTHON_TRIES, path)).toBe('busy\n');
});

test('is gone when its process is', async () => {
  const path = fresh();
  await (await takeRecordLock(path, now)).release();
  const holder = await pythonHolder(path);
  holder.kill('SIGKILL');
  await new Promise((resolve) => holder.once('exit', resolve));
  await (await takeRecordLock(path, now)).release();
});

async function pythonHolder(path: string): Promise<ChildProcess> {
  const child = spawn('python3', ['-c', PYTHON_HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('error', reject);
  });
  return child;
}

async function finish(child: ChildProcess): Promise<void> {
  const end = new Promise((resolve) => child.once('exit', resolve));
  child.stdin?.end('\n');
  await end;
}

function python(code: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', ['-c', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('error', reject);
    child.once('close', () => resolve(said));
  });
}
