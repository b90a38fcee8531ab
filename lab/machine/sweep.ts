import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runProgram } from './program.ts';
import { labFolder } from './project.ts';
import { type Belonging, processStart, RUN_MARK } from './run-folder.ts';

/** Takes down every run whose owner is gone (a kill -9, a power cut); returns their ids. */
export async function sweepDeadRuns(): Promise<string[]> {
  const dead = readdirSync(labFolder('runs')).filter((id) => !ownerLives(join(labFolder('runs'), id)));
  for (const id of dead) await sweepRun(id);
  return dead;
}

/** Takes down everything a run made on this machine; safe to repeat. */
export async function sweepRun(id: string): Promise<void> {
  const path = join(labFolder('runs'), id);
  const ledger = readLedger(join(path, 'ledger'));
  const namespaces = ledger.flatMap((item) => (item.kind === 'netns' ? [item.name] : []));
  await endProcesses(async () => [...markedPids(id), ...(await Promise.all(namespaces.map(pidsIn))).flat()]);
  for (const name of namespaces) await removeNetns(name);
  // The run's own the last of all: it holds the list of the others, for whoever sweeps after a sweep that was killed.
  const folders = [...ledger.flatMap((item) => (item.kind === 'folder' ? [item.path] : [])), path];
  for (const mount of ledger.flatMap((item) => (item.kind === 'mount' ? [item.path] : []))) await unmount(mount);
  for (const mount of mountsBelow(folders)) await unmount(mount);
  await detachLoopsBelow(folders);
  // Another lab that begins may sweep the same run at the same time.
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}

/** Too young to have an owner yet, milliseconds: its folder exists a moment before the file that names the owner. */
const NEWBORN_MS = 10_000;

function ownerLives(path: string): boolean {
  try {
    const [pid = '', start = ''] = readFileSync(join(path, 'owner'), 'utf8').trim().split(' ');
    return processStart(Number(pid)) === start;
  } catch {
    return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < NEWBORN_MS;
  }
}

function readLedger(path: string): Belonging[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Belonging);
}

/**
 * How often processes are looked for, and how often in a row none must be there: one that is killed may just have
 * started another, which has its mark only when it has become another program.
 */
const LOOKS = 10;
const QUIET_LOOKS = 2;
const BETWEEN_LOOKS_MS = 100;

async function endProcesses(find: () => Promise<readonly number[]>): Promise<void> {
  for (let quiet = 0, look = 0; quiet < QUIET_LOOKS && look < LOOKS; look += 1) {
    const pids = await find();
    for (const pid of pids) killNow(pid);
    await waitGone(pids);
    quiet = pids.length === 0 ? quiet + 1 : 0;
    if (quiet < QUIET_LOOKS) await pause(BETWEEN_LOOKS_MS);
  }
}

/** Whatever runs in a namespace of ours was started by us. */
async function pidsIn(name: string): Promise<readonly number[]> {
  if (!existsSync(`/run/netns/${name}`)) return [];
  const { stdout } = await runProgram(['ip', 'netns', 'pids', name]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function removeNetns(name: string): Promise<void> {
  if (existsSync(`/run/netns/${name}`)) await runProgram(['ip', 'netns', 'del', name]);
}

function markedPids(id: string): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${RUN_MARK}=${id}`);
      } catch {
        return false; // gone meanwhile
      }
    });
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}

async function waitGone(pids: readonly number[]): Promise<void> {
  for (let turn = 0; turn < 100 && pids.some((pid) => processStart(pid) !== undefined); turn += 1) {
    await pause(50);
  }
}

function mountsBelow(folders: readonly string[]): string[] {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => folders.some((folder) => point.startsWith(`${folder}/`))).reverse();
}

async function unmount(path: string): Promise<void> {
  await runProgram(['umount', '-l', path]);
}

async function detachLoopsBelow(folders: readonly string[]): Promise<void> {
  for (const name of readdirSync('/sys/block').filter((name) => name.startsWith('loop'))) {
    const file = `/sys/block/${name}/loop/backing_file`;
    if (!existsSync(file)) continue;
    const backing = readFileSync(file, 'utf8').trim();
    if (folders.some((folder) => backing.startsWith(`${folder}/`))) await runProgram(['losetup', '-d', `/dev/${name}`]);
  }
}
