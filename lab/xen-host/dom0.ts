import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { type Outcome, stopDaemon } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import type { ExecOptions } from './agent-link.ts';
import { type Booted, type BootOptions, bootDom0 } from './boot.ts';
import { Guest, type GuestOptions } from './guest.ts';

/** A running Xen host. */
export class Dom0 {
  readonly name: string;
  readonly #booted: Booted;

  private constructor(name: string, booted: Booted) {
    this.name = name;
    this.#booted = booted;
  }

  static async boot(run: RunFolder, network: NetworkNamespace, o: BootOptions): Promise<Dom0> {
    return new Dom0(o.name, await bootDom0(run, network, o));
  }

  get hostUuid(): string {
    return this.#booted.hostUuid;
  }

  /** Nobody has switched it off, and it has not done so itself. */
  get isOn(): boolean {
    const { qemu } = this.#booted;
    return qemu.exitCode === null && qemu.signalCode === null;
  }

  /** Xen's and dom0's serial console, on this machine. */
  get consoleLog(): string {
    return this.#booted.consoleLog;
  }

  /** Runs a program in dom0, beside others; resolves however it ends, rejects when dom0 goes off. */
  async exec(argv: readonly string[], o: ExecOptions = {}): Promise<Outcome> {
    const { code, stdout, stderr } = await this.#booted.link.exec(argv, o);
    return { code, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  /** The program's stdout, or an error with its last words. */
  async check(argv: readonly string[], o: ExecOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(argv, o);
    if (code === 0) return stdout;
    throw new Error(`${this.name}: ${argv.join(' ')} ended with ${code}: ${(stderr || stdout).trim().slice(-2000)}`);
  }

  /** A script for dom0's `sh -e`. */
  shell(script: string, o: ExecOptions = {}): Promise<string> {
    return this.check(['/bin/sh', '-ec', script], o);
  }

  async writeFile(path: string, content: string | Uint8Array, mode = '644'): Promise<void> {
    await this.check(['/bin/sh', '-ec', 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', 'sh', path, mode], {
      stdin: content,
    });
  }

  async readFile(path: string): Promise<Buffer> {
    const { code, stdout, stderr } = await this.#booted.link.exec(['cat', path]);
    if (code !== 0) throw new Error(`${this.name}: ${stderr.toString().trim()}`);
    return stdout;
  }

  startGuest(o: GuestOptions): Promise<Guest> {
    return Guest.start(this, o);
  }

  /** The power cut: nothing in dom0 gets to say goodbye. */
  async powerOff(): Promise<void> {
    await stopDaemon(this.#booted.qemu);
    this.#booted.link.close();
  }
}
