import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { runChecked, runProgram } from '../../../src/system/run.ts';

const soon = (): Deadline => Deadline.after(20_000);

test('collects what a program says and how it ends', async () => {
  const outcome = await runProgram('sh', ['-c', 'echo out; echo err >&2; exit 3'], { deadline: soon() });
  expect(outcome).toMatchObject({ end: { kind: 'exit', code: 3 }, stdout: 'out\n', stderr: 'err\n', program: 'sh' });
});

test('gives a fixed environment and no shell', async () => {
  const outcome = await runProgram('env', [], { deadline: soon(), env: { LVM_SYSTEM_DIR: '/etc/lvm' } });
  expect(outcome.stdout.trim().split('\n').sort()).toEqual([
    'LC_ALL=C',
    'LVM_SYSTEM_DIR=/etc/lvm',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
  expect(await runChecked('echo', ['$HOME; `id`'], { deadline: soon() })).toBe('$HOME; `id`\n');
});

test('feeds stdin, also to a program that does not read it', async () => {
  const big = 'x'.repeat(1 << 20);
  expect(await runChecked('cat', [], { deadline: soon(), stdin: big })).toBe(big);
  expect(await runChecked('true', [], { deadline: soon(), stdin: big })).toBe('');
});

test('keeps the end of stderr', async () => {
  const outcome = await runProgram('sh', ['-c', 'seq 1 10000 >&2; echo last >&2'], { deadline: soon() });
  expect(Buffer.byteLength(outcome.stderr)).toBe(4096);
  expect(outcome.stderr.endsWith('9999\n10000\nlast\n')).toBe(true);
});

test('ends a program whose output has no end', async () => {
  const outcome = await runProgram('cat', ['/dev/zero'], { deadline: soon() });
  expect(outcome.end).toEqual({ kind: 'signal', signal: 'SIGPIPE' });
});

test('names the signal that killed a program', async () => {
  const outcome = await runProgram('sh', ['-c', 'kill -9 $$'], { deadline: soon() });
  expect(outcome.end).toEqual({ kind: 'signal', signal: 'SIGKILL' });
});

test('tells a program that is missing from one that may not run', async () => {
  const missing = await runProgram('/no/such/program', [], { deadline: soon() });
  expect(missing.end).toEqual({ kind: 'not-started', errno: 'ENOENT' });
  const directory = await runProgram('/etc', [], { deadline: soon() });
  expect(directory.end).toEqual({ kind: 'not-started', errno: 'EACCES' });
});

test('kills the whole group of a program that ignores SIGTERM', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-system-run-'));
  const script = `trap '' TERM; sleep 300 & echo $! > ${folder}/pid; wait; sleep 300`;
  const outcome = await runProgram('sh', ['-c', script], { deadline: Deadline.after(1000) });
  expect(outcome.end).toEqual({ kind: 'timeout' });
  const sleeper = readFileSync(`${folder}/pid`, 'utf8').trim();
  await soon().until(() => (isAlive(sleeper) ? undefined : true), 'the group to die');
  rmSync(folder, { recursive: true });
});

test('starts nothing behind the deadline', async () => {
  const folder = mkdtempSync(`${tmpdir()}/rbdsr-run-`);
  const running = runProgram('touch', [`${folder}/started`], { deadline: Deadline.after(0) });
  // Whoever is stopped again right there kills it in vain.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  expect((await running).end).toEqual({ kind: 'timeout' });
  expect(existsSync(`${folder}/started`)).toBe(false);
  rmSync(folder, { recursive: true });
});

test('does not wait for a daemon that keeps the pipes', async () => {
  const outcome = await runProgram('sh', ['-c', 'sleep 30 & echo $!'], { deadline: Deadline.after(25_000) });
  expect(outcome.end).toEqual({ kind: 'exit', code: 0 });
  process.kill(Number(outcome.stdout), 'SIGKILL');
});

test('runChecked turns each way to fail into its error', async () => {
  await expect(runChecked('no-such-program', [], { deadline: soon() })).rejects.toMatchObject({
    code: 'program-missing',
    detail: { facts: { program: 'no-such-program' } },
  });
  await expect(runChecked('sh', ['-c', 'echo why >&2; exit 5'], { deadline: soon() })).rejects.toMatchObject({
    code: 'program-failed',
    message: '"sh -c echo why >&2; exit 5" failed with exit code 5 (why)',
    detail: { facts: { program: 'sh', code: 5, stderr: 'why' } },
  });
  await expect(runChecked('sleep', ['60'], { deadline: Deadline.after(100) })).rejects.toMatchObject({
    code: 'deadline',
    detail: { facts: { waitedFor: 'sleep 60' } },
  });
});

test('an error does not repeat what went in on stdin', async () => {
  const failing = runChecked('sh', ['-c', 'cat >/dev/null; exit 1'], { deadline: soon(), stdin: 'hunter2' });
  const error: unknown = await failing.catch((reason: unknown) => reason);
  expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
});

function isAlive(pid: string): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) Z /.test(readFileSync(stat, 'utf8'));
}
