import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentBundle } from '../hosts/agent-bundle.ts';
import { AgentLink } from '../hosts/agent-link.ts';
import { startScript } from '../hosts/start-script.ts';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { check, stopDaemon } from '../machine/program.ts';
import { umlInitrd } from './initrd.ts';
import { umlKernel } from './kernel.ts';
import type { Links } from '../hosts/links.ts';
import { ptraceWrapper } from './ptrace-wrapper.ts';
import { umlStart } from './start-lines.ts';

export interface UmlMachine {
  readonly name: string;
  readonly uuid: string;
  readonly network: NetworkNamespace;
  readonly links: Links;
  /** Memory, disk and sockets: in memory, for the user-mode kernel works on all of it all the time. */
  readonly folder: string;
  readonly consoleLog: string;
  /** Where xapi listens, on every address of the cluster's network. */
  readonly xapiPort: number;
}

export interface UmlRunning {
  readonly link: AgentLink;
  /** Ends when the kernel has. */
  readonly process: ChildProcess;
}

/** The agent of the n-th host has port 1000 + n. */
const FIRST_AGENT_PORT = 1000;
const MEMORY = '1536M';
/** Sparse; what the host writes comes to be in /dev/shm. */
const DISK = '4G';
const TIMEOUT_MS = 120_000;

/** Switches the machine on, with the disk it has; resolves when its agent answers. */
export async function bootUml(machine: UmlMachine, index: number): Promise<UmlRunning> {
  const { name, network, links, folder, consoleLog } = machine;
  const port = FIRST_AGENT_PORT + index;
  const start = startScript(
    { hostUuid: machine.uuid, hostName: name, node: process.execPath },
    umlStart(links, { agent: port, xapi: machine.xapiPort }),
  );
  const initrd = join(folder, 'initrd');
  writeFileSync(initrd, umlInitrd(umlKernel(), { agent: await agentBundle(), start }));
  await makeDisk(join(folder, 'disk'));
  const link = new AgentLink(await network.listen(port));
  const kernel = await startKernel(machine, initrd);
  kernel.once('exit', () => link.close());
  try {
    await Promise.race([link.ready, ended(kernel, consoleLog), late(consoleLog)]);
  } catch (error) {
    link.close();
    await stopDaemon(kernel);
    throw error;
  }
  return { link, process: kernel };
}

/** A file system with nothing on it; one that is there stays. */
async function makeDisk(path: string): Promise<void> {
  if (existsSync(path)) return;
  await check(['truncate', '-s', DISK, path]);
  await check(['mkfs.ext4', '-q', '-E', 'nodiscard', path]);
}

async function startKernel({ network, links, folder, consoleLog }: UmlMachine, initrd: string): Promise<ChildProcess> {
  const wrapper = await ptraceWrapper();
  mkdirSync(join(folder, 'uml'), { recursive: true });
  const cards = [links.cluster, links.pool, links.lab].map(
    ({ tap, mac }, card) => `vec${card}:transport=tap,ifname=${tap},mac=${mac},depth=128,gro=1`,
  );
  const argv = [
    ['setpriv', '--pdeathsig', 'KILL', '--', ...network.inside(['unshare', '-fpm', '--kill-child'])],
    ['sh', '-c', ENTER, 'sh', folder],
    ['env', `TMPDIR=${folder}`, `LD_PRELOAD=${wrapper}`, 'linux.uml', `mem=${MEMORY}`],
    [`initrd=${initrd}`, 'root=/dev/ram0', 'con=null', 'ssl=null', 'con0=null,fd:1', 'quiet'],
    [`uml_dir=${join(folder, 'uml')}`, `ubd0=${join(folder, 'disk')}`, ...cards],
  ].flat();
  const [program = '', ...args] = argv;
  const kernel = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const onOutput = (chunk: Buffer): void => {
    appendFileSync(consoleLog, chunk);
    // The kernel has halted, but its process and its connections may stay.
    if (chunk.includes(HALTED)) kernel.kill('SIGKILL');
  };
  kernel.stdout.on('data', onOutput);
  kernel.stderr.on('data', onOutput);
  return kernel;
}

const HALTED = 'reboot: System halted';

/**
 * A root of a host may mount the machine's root as it likes (hostfs), so for the kernel's process nothing of it can be
 * written but the host's own folder.
 */
const ENTER = `
mount --bind "$1" "$1"
mounts=$(cat /proc/self/mounts)
echo "$mounts" | while read -r _ point _; do
  [ "$point" = "$1" ] || mount -o remount,bind,ro "$point" 2>/dev/null || :
done
shift
exec "$@"`;

function ended(kernel: ChildProcess, consoleLog: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    kernel.once('error', reject);
    kernel.once('exit', (code) => reject(new Error(`the user-mode kernel ended with ${code}: ${tail(consoleLog)}`)));
  });
}

function late(consoleLog: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    const say = (): void => reject(new Error(`the host is not up after ${TIMEOUT_MS / 1000} s: ${tail(consoleLog)}`));
    setTimeout(say, TIMEOUT_MS).unref();
  });
}

function tail(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8').trim().slice(-1500) : '';
}
