import { join } from 'node:path';
import { compiled } from '../machine/compile.ts';
import type { Outcome } from '../machine/program.ts';
import { PROJECT_ROOT } from '../machine/project.ts';

/** Where the disk's user runs: a host of the lab; what else runs programs will do. */
export interface RunsPrograms {
  exec(
    argv: readonly string[],
    o?: { readonly stdin?: string | Uint8Array; readonly timeoutMs?: number },
  ): Promise<Outcome>;
}

/**
 * The stand-in for blkback (program/main.c) on one host: it has the device that vdi_attach named open, past every
 * cache, with many requests in flight.
 */
export class DiskUser {
  readonly #host: RunsPrograms;
  /** Where the host sees it. */
  readonly program: string;

  private constructor(host: RunsPrograms, program: string) {
    this.#host = host;
    this.program = program;
  }

  /** `seenAt` tells where the host sees a file of this machine. */
  static async on(host: RunsPrograms, seenAt: (path: string) => string = (path) => path): Promise<DiskUser> {
    return new DiskUser(host, seenAt(await compiled('disk-user', join(PROJECT_ROOT, 'lab/blkback-double/program'))));
  }

  /** Writes as many bytes of noise, flushed; what md5sum prints of them. */
  putNoise(device: string, bytes: number, offset = 0): Promise<string> {
    const script = `
noise=$(mktemp)
trap 'rm -f "$noise"' EXIT
head -c "$4" /dev/urandom >"$noise"
"$1" put "$2" "$3" <"$noise"
md5sum <"$noise"`;
    return this.shell(script, [this.program, device, String(offset), String(bytes)]);
  }

  /** What md5sum prints of as many bytes. */
  md5(device: string, bytes: number, offset = 0): Promise<string> {
    const script = 'set -o pipefail; "$1" get "$2" "$3" "$4" | md5sum';
    return this.shell(script, [this.program, device, String(offset), String(bytes)]);
  }

  /** `bytes` is whole sectors. */
  async put(device: string, bytes: Uint8Array, offset = 0): Promise<void> {
    await this.check([this.program, 'put', device, String(offset)], { stdin: bytes });
  }

  get(device: string, bytes: number, offset = 0): Promise<string> {
    return this.check([this.program, 'get', device, String(offset), String(bytes)]);
  }

  async discard(device: string, bytes: number, offset = 0): Promise<void> {
    await this.check([this.program, 'discard', device, String(offset), String(bytes)]);
  }

  /** However it ends. */
  exec(argv: readonly string[], o: { readonly timeoutMs?: number } = {}): Promise<Outcome> {
    return this.#host.exec(argv, o);
  }

  /** For the host's bash, which has `words` as $1 and so on. */
  shell(script: string, words: readonly string[] = []): Promise<string> {
    return this.check(['/bin/bash', '-ec', script, 'bash', ...words]);
  }

  async check(argv: readonly string[], o: { readonly stdin?: string | Uint8Array } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.#host.exec(argv, { ...o, timeoutMs: 300_000 });
    if (code === 0) return stdout;
    throw new Error(`${argv.join(' ')} ended with ${code}: ${(stderr || stdout).trim().slice(-2000)}`);
  }
}
