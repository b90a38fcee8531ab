import type { AgentLink } from '../hosts/agent-link.ts';
import type { Guest, GuestOptions } from '../hosts/guest.ts';
import { Host } from '../hosts/host.ts';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { freezeProcess, pidOf, stopDaemon, thawProcess } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { type Booted, type BootOptions, bootDom0 } from './boot.ts';
import { PvGuest } from './guest.ts';

/** Xen and a Debian dom0 under QEMU's emulation. */
export class XenHost extends Host {
  /** QEMU's user network shows every host of this kind as the machine that runs it. */
  readonly address = '127.0.0.1';
  /** Emulation is ten times slower than a host: what takes seconds there takes a minute here. */
  readonly deadline = 240;
  readonly links = undefined;
  readonly #booted: Booted;

  private constructor(name: string, uuid: string, booted: Booted) {
    super(name, uuid);
    this.#booted = booted;
  }

  static async boot(run: RunFolder, network: NetworkNamespace, o: BootOptions): Promise<XenHost> {
    return new XenHost(o.name, o.uuid, await bootDom0(run, network, o));
  }

  /** Xen's console and dom0's. */
  get consoleLog(): string {
    return this.#booted.consoleLog;
  }

  protected get link(): AgentLink {
    return this.#booted.link;
  }

  get isOn(): boolean {
    const { qemu } = this.#booted;
    return qemu.exitCode === null && qemu.signalCode === null;
  }

  has(): boolean {
    return true;
  }

  startGuest(o: GuestOptions): Promise<Guest> {
    return PvGuest.start(this, o);
  }

  async powerCut(): Promise<void> {
    await stopDaemon(this.#booted.qemu);
    this.#booted.link.close();
  }

  powerOn(): Promise<void> {
    return Promise.reject(
      new Error(`${this.name} has no disk that would have kept anything; take a host that has one`),
    );
  }

  freeze(): Promise<void> {
    return freezeProcess(pidOf(this.#booted.qemu));
  }

  thaw(): Promise<void> {
    thawProcess(pidOf(this.#booted.qemu));
    return Promise.resolve();
  }
}
