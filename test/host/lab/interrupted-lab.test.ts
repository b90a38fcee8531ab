import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { sweepDeadRuns } from '../../../lab/machine/sweep.ts';
import { labFolder } from '../../../lab/machine/project.ts';

// `npm run demo`, interrupted when its cluster and a host are up: no process, namespace, mount or folder of it is left,
// in memory or on disk.

let demo: ChildProcess | undefined;
afterEach(async () => {
  demo?.kill('SIGKILL');
  await sweepDeadRuns();
});

async function demoWithHost(): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn(process.execPath, ['scripts/run-ts.mjs', 'lab/demo.ts'], { stdio: ['ignore', 'pipe', 'pipe'] });
  demo = child;
  const { pid } = child;
  if (pid === undefined) throw new Error('the demo did not start');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the demo ended with ${code}: ${said}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ceph is up') && said.includes('host1 is up')) resolve();
    });
  });
  return Object.assign(child, { pid });
}

/** The run that this process owns. */
function runOf(pid: number): string {
  const owned = readdirSync(labFolder('runs')).find((id) => {
    const owner = join(labFolder('runs'), id, 'owner');
    return existsSync(owner) && readFileSync(owner, 'utf8').startsWith(`${pid} `);
  });
  if (owned === undefined) throw new Error(`process ${pid} owns no run`);
  return owned;
}

function processes(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // gone meanwhile
  }
}

/** Namespaces are noted in the run's ledger; read while the run is there. */
function namespacesOf(run: string): string[] {
  const lines = readFileSync(join(labFolder('runs'), run, 'ledger'), 'utf8')
    .split('\n')
    .filter(Boolean);
  const items = lines.map((line) => JSON.parse(line) as { kind: string; name?: string });
  return items.flatMap(({ kind, name }) => (kind === 'netns' && name !== undefined ? [name] : []));
}

function expectNothingOf(run: string, namespaces: readonly string[]): void {
  expect(existsSync(join(labFolder('runs'), run))).toBe(false);
  for (const folder of ['/tmp', '/dev/shm'])
    expect(readdirSync(folder).filter((name) => name.includes(run))).toEqual([]);
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(run);
  for (const name of namespaces) expect(existsSync(`/run/netns/${name}`)).toBe(false);
  expect(commandsOf(run, namespaces)).toEqual([]);
}

/** Every daemon of the run, and every host, has its folder or a namespace in its arguments. */
function commandsOf(run: string, namespaces: readonly string[]): string[] {
  const commands = processes().map((pid) => `${pid} ${commandOf(pid).replaceAll('\0', ' ')}`);
  return commands.filter((command) => [run, ...namespaces].some((name) => command.includes(name)));
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('after %s', async (signal, expected) => {
  const child = await demoWithHost();
  const run = runOf(child.pid);
  const namespaces = namespacesOf(run);
  expect(namespaces.length).toBeGreaterThan(0);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  expect(await ended).toBe(expected);
  expectNothingOf(run, namespaces);
});

test('after a kill -9, once the next run has begun', async () => {
  const child = await demoWithHost();
  const run = runOf(child.pid);
  const namespaces = namespacesOf(run);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const hostsOf = (): string[] => commandsOf(run, namespaces).filter((command) => command.includes('linux.uml'));
  expect(hostsOf()).not.toEqual([]);
  child.kill('SIGKILL');
  await ended;
  // No host runs on, before anybody sweeps; the rest is the next run's to take away.
  await expect.poll(hostsOf, { timeout: 20_000 }).toEqual([]);
  expect(await sweepDeadRuns()).toContain(run);
  expectNothingOf(run, namespaces);
});

test('after TERM of a vitest that nobody guards: it kills its workers before one could do it', async () => {
  const before = readdirSync(labFolder('runs'));
  const argv = ['node_modules/.bin/vitest', 'run', '--project', 'lab', '-t', 'a last flush that fails'];
  const child = spawn(process.execPath, argv, { stdio: 'ignore', detached: true });
  demo = child;
  const begun = (): string | undefined => readdirSync(labFolder('runs')).find((id) => !before.includes(id));
  const hostsOf = (id: string): string[] => commandsOf(id, []).filter((command) => command.includes('linux.uml'));
  const run = await vi.waitFor(() => {
    const id = begun();
    return id !== undefined && hostsOf(id).length > 0 ? id : expect.fail('no host is up yet');
  }, 90_000);
  const namespaces = namespacesOf(run);
  child.kill('SIGTERM');
  await expect.poll(() => existsSync(join(labFolder('runs'), run)), { timeout: 20_000 }).toBe(false);
  // A program that was only being started then finds nothing of the run any more.
  await expect.poll(() => commandsOf(run, namespaces), { timeout: 5000 }).toEqual([]);
  expectNothingOf(run, namespaces);
});
