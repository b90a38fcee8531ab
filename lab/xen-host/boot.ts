import type { ChildProcess } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { startDaemon, stopDaemon } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { agentBundle } from '../hosts/agent-bundle.ts';
import { AgentLink } from '../hosts/agent-link.ts';
import type { XapiRoute } from '../hosts/xapi-route.ts';
import { startScript } from '../hosts/start-script.ts';
import { dom0Initrd } from './initrd.ts';
import { labKernel } from './kernel.ts';
import { AGENT_ADDRESS, XEN_START } from './start-lines.ts';

export interface BootOptions {
  /** Also its host name. */
  readonly name: string;
  readonly uuid: string;
  readonly xapi: XapiRoute;
  /** Memory of the whole emulated machine, of which dom0 has 2 GiB, MiB. */
  readonly memoryMiB?: number;
  /** Default: ten minutes, four times what a machine with nothing else to do needs. */
  readonly timeoutMs?: number;
}

export interface Booted {
  readonly link: AgentLink;
  readonly consoleLog: string;
  readonly qemu: ChildProcess;
}

/** Xen and a Debian dom0 under QEMU's emulation, in the cluster's network; resolves when dom0's agent answers. */
export async function bootDom0(run: RunFolder, network: NetworkNamespace, o: BootOptions): Promise<Booted> {
  const dir = run.folder(o.name);
  const consoleLog = join(dir, 'console.log');
  const kernel = labKernel();
  const start = startScript({ hostUuid: o.uuid, hostName: o.name, node: process.execPath }, XEN_START);
  const initrd = await dom0Initrd(kernel, { agent: await agentBundle(), start });
  const [initrdPath, xenPath] = [join(dir, 'initrd'), join(dir, 'xen')];
  writeFileSync(initrdPath, initrd);
  writeFileSync(xenPath, gunzipSync(readFileSync('/boot/xen-4.17-amd64.gz')));
  const agentSocket = join(run.socketPath, `${o.name}.agent`);
  rmSync(agentSocket, { force: true });
  const link = new AgentLink(agentSocket, o.xapi);
  const argv = [
    ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'Nehalem', '-smp', '2'],
    ['-m', String(o.memoryMiB ?? 3072), '-display', 'none', '-monitor', 'none', '-no-reboot', '-nodefaults'],
    ['-serial', `file:${consoleLog}`],
    ['-kernel', xenPath, '-append', 'dom0_mem=2G,max:2G console=com1 com1=115200 loglvl=error spec-ctrl=no'],
    ['-initrd', `${kernel.path} console=hvc0 quiet mitigations=off net.ifnames=0,${initrdPath}`],
    ['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
    ['-chardev', `socket,id=agent,path=${agentSocket}`],
    [
      '-netdev',
      `user,id=n0,guestfwd=tcp:${AGENT_ADDRESS.host}:${AGENT_ADDRESS.port}-chardev:agent`,
      '-device',
      'virtio-net-pci,netdev=n0,romfile=',
    ],
  ].flat();
  const qemu = startDaemon(network.inside(argv), join(dir, 'qemu.log'));
  try {
    await Promise.race([link.ready, ended(qemu, dir), late(o.timeoutMs ?? 600_000, consoleLog)]);
  } catch (error) {
    link.close();
    await stopDaemon(qemu);
    throw error;
  }
  return { link, consoleLog, qemu };
}

function ended(qemu: ChildProcess, dir: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    qemu.once('error', reject);
    qemu.once('exit', (code) => reject(new Error(`QEMU ended with ${code}: ${tail(join(dir, 'qemu.log'))}`)));
  });
}

function late(timeoutMs: number, consoleLog: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    const say = (): void => reject(new Error(`dom0 is not up after ${timeoutMs / 1000} s: ${tail(consoleLog)}`));
    setTimeout(say, timeoutMs).unref();
  });
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trim().slice(-1500);
}
