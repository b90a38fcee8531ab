import { spawn } from 'node:child_process';
import { Server } from 'node:net';
import { check } from './program.ts';
import type { RunFolder } from './run-folder.ts';

const OPENS_A_SERVER = `
const server = require('node:net').createServer().listen(Number(process.argv[1]), '0.0.0.0', () =>
  process.send('listening', server, () => process.exit(0)));`;

/**
 * A network of its own for one cluster and the hosts that reach it: addresses on loopback and on links to hosts,
 * nothing leaves it.
 */
export class NetworkNamespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** One that another process has made and keeps. */
  static existing(name: string): NetworkNamespace {
    return new NetworkNamespace(name);
  }

  static async create(run: RunFolder, label: string, addresses: readonly string[]): Promise<NetworkNamespace> {
    const network = new NetworkNamespace(`rbdsr-lab-${run.id}-${label}`);
    run.note({ kind: 'netns', name: network.name });
    await check(['ip', 'netns', 'add', network.name]);
    await check(['ip', '-n', network.name, 'link', 'set', 'lo', 'up']);
    for (const address of addresses) {
      await check(['ip', '-n', network.name, 'addr', 'add', `${address}/24`, 'dev', 'lo']);
    }
    return network;
  }

  /** `argv` as it must be called to run inside. */
  inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv];
  }

  /** `ip` commands for inside, one a line. */
  async configure(commands: string): Promise<void> {
    await check(['ip', '-n', this.name, '-batch', '-'], { stdin: commands });
  }

  /**
   * A server of this process that listens inside, on every address: a short-lived program opens it there and hands it
   * over. The kernel keeps the network until it is closed.
   */
  async listen(port: number): Promise<Server> {
    const [program = '', ...args] = this.inside([process.execPath, '-e', OPENS_A_SERVER, String(port)]);
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new Error(`nobody listens at port ${port} of ${this.name} (${code}): ${said}`)),
      );
      child.once('message', (_message, handle) => {
        if (handle instanceof Server) resolve(handle);
      });
    });
  }

  async remove(): Promise<void> {
    await check(['ip', 'netns', 'del', this.name]);
  }
}
