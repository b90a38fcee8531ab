import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { deviceNumbers, makeBlockNode } from '../../../src/system/io/block-node.ts';
import { DescriptorLook } from '../../../src/system/descriptors.ts';
import { mountsOf } from '../../../src/system/mounts.ts';
import { childProgram } from '../../support/lvhd-child.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';

let folder = '';
let server: ChildProcess;
/** Has a file of the dead file system open. */
let holder = 0;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-dead-'));
  mkdirSync(join(folder, 'mnt'));
  server = spawn('python3', [join(import.meta.dirname, 'dead-fuse.py'), join(folder, 'mnt')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(server.stdout ?? server, 'data')) as [Buffer];
  holder = Number(line.toString());
  await Deadline.after(10_000).until(() => heldFile(), 'the file to be open');
});
afterEach(async () => {
  if (server.exitCode === null && server.kill('SIGTERM')) await once(server, 'exit');
  rmSync(folder, { recursive: true });
});

function heldFile(): true | undefined {
  try {
    return readlinkSync(`/proc/${holder}/fd/3`) === join(folder, 'mnt/file') ? true : undefined;
  } catch {
    return undefined;
  }
}

function hasWaiter(pid: number | undefined): true | undefined {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.some((id) => / D /.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8'))) ? true : undefined;
}

/** What a process of its own answers; killed after so long, for then it waits for the dead server. */
async function answers(args: readonly string[]): Promise<unknown> {
  using program = await childProgram(`${import.meta.dirname}/openers-child.ts`);
  const { signal, output } = await program.run(args, {}, 20_000);
  return signal === null ? JSON.parse(output) : `killed by ${signal}`;
}

test('who has a device open is told beside a process that has a file of a dead server open', async () => {
  using loop = loopDevice(MiB);
  const node = join(folder, 'node');
  const { major, minor } = deviceNumbers(statSync(loop.device).rdev);
  makeBlockNode(node, major, minor);
  const fd = openSync(node, 'r');
  const sleeper = spawn('sleep', ['60'], { stdio: [fd, 'ignore', 'ignore'] });
  await once(sleeper, 'spawn');
  closeSync(fd);
  const openers = { processes: [{ pid: sleeper.pid, command: 'sleep' }], holders: [], mountPoints: [] };
  const facts = { pid: holder, command: 'sleep' };
  expect(await answers([loop.device, String(holder)])).toMatchObject({ openers, facts });
  execFileSync('umount', ['--lazy', join(folder, 'mnt')]);
  expect(mountsOf(holder).map(({ point }) => point)).not.toContain(join(folder, 'mnt'));
  expect(await answers([loop.device, String(holder)])).toMatchObject({ openers, facts });
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
});

test('of that process only what answers from memory is asked', () => {
  const types = new DescriptorLook().files(holder).map((stats) => (stats.mode & 0o170000).toString(8));
  expect(types).toContain('20000');
  expect(mountsOf('self').find(({ point }) => point === join(folder, 'mnt'))).toMatchObject({ type: 'fuse' });
});

test('of a process that may hold the lock of its memory for good only the name is read', async () => {
  const script = join(import.meta.dirname, 'runs-dead-program.py');
  const stuck = spawn('python3', [script, join(folder, 'mnt/file')], { stdio: 'inherit' });
  await once(stuck, 'spawn');
  await Deadline.after(10_000).until(() => hasWaiter(stuck.pid), 'a thread in state D');
  expect(await answers(['/dev/null', String(stuck.pid)])).toMatchObject({ facts: { command: 'python3' } });
  stuck.kill('SIGKILL');
  await once(stuck, 'exit');
});
