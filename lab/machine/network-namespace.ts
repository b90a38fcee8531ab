import { check } from './program.ts';
import type { RunFolder } from './run-folder.ts';

/** A network of its own for one cluster and the dom0s that reach it: addresses on loopback, nothing leaves it. */
export class NetworkNamespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
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

  async remove(): Promise<void> {
    await check(['ip', 'netns', 'del', this.name]);
  }
}
