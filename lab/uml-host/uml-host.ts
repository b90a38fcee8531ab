import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentLink } from '../hosts/agent-link.ts';
import type { Guest } from '../hosts/guest.ts';
import { Host } from '../hosts/host.ts';
import type { Links } from '../hosts/links.ts';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { freezeProcess, thawProcess } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { bootUml, type UmlMachine, type UmlRunning } from './boot.ts';
import { linksOf, makeLinks } from './links.ts';

export interface UmlHostOptions {
  readonly name: string;
  readonly uuid: string;
  /** Its place in the network: 0, 1, ... */
  readonly index: number;
  readonly xapiPort: number;
}

/** A Linux kernel that runs as a process of this machine, at its speed. */
export class UmlHost extends Host {
  readonly deadline = 60;
  readonly links: Links;
  readonly #machine: UmlMachine;
  readonly #index: number;
  #running: UmlRunning;

  private constructor(machine: UmlMachine, index: number, running: UmlRunning) {
    super(machine.name, machine.uuid);
    this.#machine = machine;
    this.#index = index;
    this.#running = running;
    this.links = machine.links;
  }

  static async boot(run: RunFolder, network: NetworkNamespace, o: UmlHostOptions): Promise<UmlHost> {
    const { name, uuid, index, xapiPort } = o;
    const links = linksOf(name, index);
    const folder = join(run.memoryFolder(), name);
    mkdirSync(folder);
    await makeLinks(network, links);
    const consoleLog = join(run.folder(name), 'console.log');
    const machine: UmlMachine = { name, uuid, network, links, folder, consoleLog, xapiPort };
    return new UmlHost(machine, index, await bootUml(machine, index));
  }

  get address(): string {
    return this.links.pool.there;
  }

  get consoleLog(): string {
    return this.#machine.consoleLog;
  }

  protected get link(): AgentLink {
    return this.#running.link;
  }

  get isOn(): boolean {
    const { exitCode, signalCode } = this.#running.process;
    return exitCode === null && signalCode === null;
  }

  has(): boolean {
    return false;
  }

  startGuest(): Promise<Guest> {
    return Promise.reject(new Error(`${this.name} has no Xen for a guest: see lab/hosts/needs.ts`));
  }

  async powerCut(): Promise<void> {
    if (!this.isOn) return;
    const gone = new Promise<void>((resolve) => this.#running.process.once('exit', () => resolve()));
    process.kill(this.#kernelPid(), 'SIGKILL');
    await gone;
  }

  async powerOn(): Promise<void> {
    if (this.isOn) throw new Error(`${this.name} is on`);
    rmSync(join(this.#machine.folder, 'uml'), { recursive: true, force: true });
    this.#running = await bootUml(this.#machine, this.#index);
  }

  freeze(): Promise<void> {
    return freezeProcess(this.#kernelPid());
  }

  thaw(): Promise<void> {
    thawProcess(this.#kernelPid());
    return Promise.resolve();
  }

  /**
   * The kernel runs what its processes ask for; they are traced children of it, and stop at the next thing they ask.
   */
  #kernelPid(): number {
    const { pid } = this.#running.process;
    const [kernel] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    if (kernel === undefined || kernel === '') throw new Error(`${this.name} is off`);
    return Number(kernel);
  }
}
