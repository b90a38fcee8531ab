import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processStart } from '../../../lab/machine/run-folder.ts';

// Tests may leave processes, mounts and loop devices behind; whoever runs them takes all of it down, in the next run at
// the latest.

/** Mounts, attaches a loop device, leaves a process in a session of its own; then tells where, and stays or ends. */
const MESS = `
mkdir "$TMPDIR/mnt" && mount -t tmpfs tmpfs "$TMPDIR/mnt"
truncate -s 1M "$TMPDIR/disk" && loop=$(losetup -f --show "$TMPDIR/disk")
setsid sleep 1000 >/dev/null 2>&1 </dev/null &
echo "$TMPDIR $loop $!" >"$1.new" && mv "$1.new" "$1"
[ "$2" != stay ] || sleep 1000
exit 7
`;

let notes: string;
beforeEach(() => {
  notes = mkdtempSync(join(tmpdir(), 'rbdsr-guard-test-'));
});
afterEach(() => rmSync(notes, { recursive: true, force: true }));

interface Mess {
  readonly folder: string;
  readonly loop: string;
  readonly pid: number;
}

function guarded(...argv: string[]): ChildProcess {
  return spawn(process.execPath, ['scripts/run-ts.mjs', 'lab/run-guard.ts', ...argv], { stdio: 'ignore' });
}

function mess(end: 'stay' | 'end'): ChildProcess {
  return guarded('sh', '-ec', MESS, 'sh', join(notes, 'mess'), end);
}

function exitCode(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve));
}

async function madeMess(): Promise<Mess> {
  const path = join(notes, 'mess');
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 50));
  const [folder = '', loop = '', pid = ''] = readFileSync(path, 'utf8').trim().split(' ');
  return { folder, loop, pid: Number(pid) };
}

function left({ folder, loop, pid }: Mess): string[] {
  const backing = `/sys/block/${loop.replace('/dev/', '')}/loop/backing_file`;
  return [
    ...(existsSync(folder) ? [folder] : []),
    ...(readFileSync('/proc/self/mounts', 'utf8').includes(` ${folder}/`) ? [`${folder}/mnt`] : []),
    ...(existsSync(backing) && readFileSync(backing, 'utf8').startsWith(folder) ? [loop] : []),
    ...(processStart(pid) === undefined ? [] : [`process ${pid}`]),
  ];
}

test('nothing is left when the program has ended, and its exit code is handed on', async () => {
  const guard = mess('end');
  expect(await exitCode(guard)).toBe(7);
  expect(left(await madeMess())).toEqual([]);
});

test.each(['SIGINT', 'SIGTERM'] as const)('nothing is left after %s', async (signal) => {
  const guard = mess('stay');
  const made = await madeMess();
  expect(left(made)).toHaveLength(4);
  guard.kill(signal);
  expect(await exitCode(guard)).toBe(signal === 'SIGINT' ? 130 : 143);
  expect(left(made)).toEqual([]);
});

test('after a kill -9 the next run takes it down first', async () => {
  const guard = mess('stay');
  const made = await madeMess();
  guard.kill('SIGKILL');
  await exitCode(guard);
  expect(left(made).length).toBeGreaterThan(0);
  expect(await exitCode(guarded('true'))).toBe(0);
  expect(left(made)).toEqual([]);
});
