import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { check, freezeProcess, startDaemon, stopDaemon, thawProcess } from '../machine/program.ts';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { type ClusterLayout, configPath, keyringPath, monitorAddresses, writeConfig } from './layout.ts';

/** What can be done to the daemons of a cluster that is up, by name: "mon.a", "osd.0". */
export interface DaemonControl {
  /** Starts it unless it runs. */
  start(name: string): Promise<void>;
  /** Kills it; resolves when it is gone. */
  stop(name: string): Promise<void>;
  /** It stops answering without closing a connection, like a dead network; resolves when it stands still. */
  freeze(name: string): Promise<void>;
  thaw(name: string): void;
}

/** The daemons of one cluster: how each comes to exist and how it is started. Each is our child and dies with us. */
export class Daemons implements DaemonControl {
  readonly #layout: ClusterLayout;
  readonly #network: NetworkNamespace;
  readonly #running = new Map<string, ChildProcess>();

  constructor(layout: ClusterLayout, network: NetworkNamespace) {
    this.#layout = layout;
    this.#network = network;
  }

  /** Configuration, the first keyring and an empty store for each monitor. */
  async prepare(): Promise<void> {
    const layout = this.#layout;
    writeConfig(layout);
    await this.#makeKeyring();
    const map = join(layout.dir, 'monmap');
    const monitors = layout.monitors.flatMap((place) => ['--addv', place.id, monitorAddresses(layout, place)]);
    await check(['monmaptool', '--create', '--clobber', '--fsid', layout.fsid, ...monitors, map]);
    await Promise.all(
      layout.monitors.map(({ id }) =>
        this.#inside('ceph-mon', '-i', id, '--mkfs', '--monmap', map, '--keyring', keyringPath(layout)),
      ),
    );
  }

  /** An OSD's store; its uuid must be the one the cluster knows it by, or it stays "booting" for ever. */
  async prepareOsd(index: number): Promise<void> {
    const uuid = randomUUID();
    await this.#inside('ceph', 'osd', 'new', uuid, String(index));
    mkdirSync(join(this.#layout.dir, `osd.${index}`));
    await this.#inside('ceph-osd', '-i', String(index), '--mkfs', '--osd-uuid', uuid);
  }

  start(name: string): Promise<void> {
    if (this.#alive(name) === undefined) {
      const [kind = '', id = ''] = name.split('.');
      const argv = [`ceph-${kind}`, '-c', configPath(this.#layout), '-f', '-i', id];
      this.#running.set(name, startDaemon(this.#network.inside(argv), join(this.#layout.dir, 'log', `${name}.out`)));
    }
    return Promise.resolve();
  }

  async stop(name: string): Promise<void> {
    const child = this.#running.get(name);
    if (child !== undefined) await stopDaemon(child);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.stop(name)));
  }

  async freeze(name: string): Promise<void> {
    const pid = this.#alive(name)?.pid;
    if (pid !== undefined) await freezeProcess(pid);
  }

  thaw(name: string): void {
    const pid = this.#alive(name)?.pid;
    if (pid !== undefined) thawProcess(pid);
  }

  #alive(name: string): ChildProcess | undefined {
    const child = this.#running.get(name);
    return isAlive(child) ? child : undefined;
  }

  async #makeKeyring(): Promise<void> {
    const { osds } = this.#layout;
    const everyone = [
      ['mon.', 'mon', 'allow *'],
      ['client.admin', 'mon', 'allow *', 'mgr', 'allow *', 'osd', 'allow *'],
      ['mgr.x', 'mon', 'allow profile mgr', 'osd', 'allow *'],
      ...Array.from({ length: osds }, (_, id) => [
        `osd.${id}`,
        'mon',
        'allow profile osd',
        'mgr',
        'allow profile osd',
        'osd',
        'allow *',
      ]),
    ];
    const path = keyringPath(this.#layout);
    for (const [index, [name = '', ...caps]] of everyone.entries()) {
      const pairs = caps.flatMap((cap, at) => (at % 2 === 0 ? ['--cap', cap, caps[at + 1] ?? ''] : []));
      await check([
        'ceph-authtool',
        ...(index === 0 ? ['--create-keyring'] : []),
        path,
        '--gen-key',
        '-n',
        name,
        ...pairs,
      ]);
    }
  }

  #inside(program: string, ...args: string[]): Promise<string> {
    return check(this.#network.inside([program, '-c', configPath(this.#layout), ...args]));
  }
}

function isAlive(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}
