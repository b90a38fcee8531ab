import type { Outcome } from '../machine/program.ts';
import type { ExecOptions, HostLink, RawOutcome } from './agent-link.ts';
import type { Guest, GuestOptions } from './guest.ts';
import type { Links } from './links.ts';
import type { Need } from './needs.ts';

const OFF_MS = 60_000;

/**
 * A host of the pool, whatever it is made of: what scenarios and the demo see. Every program in it runs by way of its
 * agent.
 */
export abstract class Host {
  /** Also what `hostname` says there. */
  readonly name: string;
  /** INSTALLATION_UUID of its inventory: xapi knows it by that. */
  readonly uuid: string;

  protected constructor(name: string, uuid: string) {
    this.name = name;
    this.uuid = uuid;
  }

  /** Its address in the pool's network, as xapi has it. */
  abstract readonly address: string;
  /** Its serial console, on this machine. */
  abstract readonly consoleLog: string;
  /** What its rbdsr.conf says: longer than any command takes whose cluster answers. Seconds. */
  abstract readonly deadline: number;
  /** Its ways to Ceph, xapi and the lab; undefined where it has but one. */
  abstract readonly links: Links | undefined;
  protected abstract get link(): HostLink;

  /** Nobody has switched it off, and it has not done so itself. */
  abstract get isOn(): boolean;

  abstract has(need: Need): boolean;

  /** A guest with one disk, where `has('a guest')`; elsewhere lab/blkback-double stands in for what serves one. */
  abstract startGuest(o: GuestOptions): Promise<Guest>;

  /** Nothing in the host gets to say goodbye. */
  abstract powerCut(): Promise<void>;

  /** Comes up with what its disk held when the power went, if it has a disk, and with the same uuid and address. */
  abstract powerOn(): Promise<void>;

  /** Every program and the kernel of the host stop where they are; nobody on the other end of a connection is told. */
  abstract freeze(): Promise<void>;

  abstract thaw(): Promise<void>;

  /** The host switches itself off, without unmounting anything; resolves when it is off. */
  async powerOff(): Promise<void> {
    // Its answer does not come any more.
    await this.exec(['busybox', 'poweroff', '-f'], { timeoutMs: 30_000 }).catch(() => undefined);
    for (const end = Date.now() + OFF_MS; this.isOn; await new Promise((resolve) => setTimeout(resolve, 50)))
      if (Date.now() > end) throw new Error(`${this.name} is not off after ${OFF_MS} ms`);
  }

  /** Runs a program, beside others; resolves however it ends, rejects when the host goes off. */
  execBytes(argv: readonly string[], o: ExecOptions = {}): Promise<RawOutcome> {
    return this.link.exec(argv, o);
  }

  /** The same for a program that prints text. */
  async exec(argv: readonly string[], o: ExecOptions = {}): Promise<Outcome> {
    const { code, stdout, stderr } = await this.execBytes(argv, o);
    return { code, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  /** The program's stdout, or an error with its last words. */
  async check(argv: readonly string[], o: ExecOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(argv, o);
    if (code === 0) return stdout;
    throw new Error(`${this.name}: ${argv.join(' ')} ended with ${code}: ${(stderr || stdout).trim().slice(-2000)}`);
  }

  /** A script for the host's `sh -e`. */
  shell(script: string, o: ExecOptions = {}): Promise<string> {
    return this.check(['/bin/sh', '-ec', script], o);
  }

  async writeFile(path: string, content: string | Uint8Array, mode = '644'): Promise<void> {
    await this.check(['/bin/sh', '-ec', 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', 'sh', path, mode], {
      stdin: content,
    });
  }

  async readFile(path: string): Promise<Buffer> {
    const { code, stdout, stderr } = await this.execBytes(['cat', path]);
    if (code !== 0) throw new Error(`${this.name}: ${stderr.toString().trim()}`);
    return stdout;
  }
}
