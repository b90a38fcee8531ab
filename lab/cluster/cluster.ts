import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkNamespace } from '../machine/network-namespace.ts';
import { check, type Outcome, runProgram, stopDaemon } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { Daemons } from './daemons.ts';
import { type ClusterLayout, configPath, layOut } from './layout.ts';

export interface ClusterOptions {
  readonly monitors?: number;
  readonly osds?: number;
  /** Distinguishes several clusters of one run. */
  readonly name?: string;
}

export interface CephxUser {
  /** Without "client.". */
  readonly name: string;
  readonly key: string;
}

/** A real Ceph cluster in a network namespace of its own; the machine's ceph tools drive it. */
export class Cluster {
  readonly network: NetworkNamespace;
  readonly fsid: string;
  readonly #layout: ClusterLayout;
  readonly #daemons: Daemons;
  readonly #running = new Map<string, ChildProcess>();

  private constructor(layout: ClusterLayout, network: NetworkNamespace) {
    this.#layout = layout;
    this.network = network;
    this.fsid = layout.fsid;
    this.#daemons = new Daemons(layout, network);
  }

  /** Up with every OSD in and a pool "rbd" whose placement groups are active. */
  static async start(run: RunFolder, o: ClusterOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.layOut(run, o);
    await cluster.bringUp();
    return cluster;
  }

  /** Only its network is there: hosts can boot in it while `bringUp` starts the daemons. */
  static async layOut(run: RunFolder, o: ClusterOptions = {}): Promise<Cluster> {
    const name = o.name ?? 'ceph';
    const socketDir = join(run.socketPath, name);
    mkdirSync(socketDir, { recursive: true });
    const layout = layOut({ dir: run.folder(name), socketDir, monitors: o.monitors ?? 1, osds: o.osds ?? 1 });
    const addresses = layout.monitors.map(({ address }) => address);
    return new Cluster(layout, await NetworkNamespace.create(run, name, addresses));
  }

  /** The monitors as a device-config value: addresses of msgr v1, the protocol krbd speaks everywhere. */
  get monitors(): string[] {
    return this.#layout.monitors.map(({ address }) => `${address}:6789`);
  }

  get configPath(): string {
    return configPath(this.#layout);
  }

  /** `ceph`, `rbd` or `rados` with the admin's key; stdout, or an error. */
  tool(program: 'ceph' | 'rbd' | 'rados' | 'rbd-nbd', ...args: readonly string[]): Promise<string> {
    return check(this.#toolArgv(program, args));
  }

  /** The same for a call that may fail. */
  tryTool(program: 'ceph' | 'rbd' | 'rados', ...args: readonly string[]): Promise<Outcome> {
    return runProgram(this.#toolArgv(program, args));
  }

  async createPool(name: string, pgs = 8): Promise<void> {
    await this.tool('ceph', 'osd', 'pool', 'create', name, String(pgs), String(pgs));
    await this.tool('rbd', 'pool', 'init', name);
  }

  /** A restricted user as docs/operating.md recommends: `profile rbd` on these pools only. */
  async createUser(name: string, pools: readonly string[]): Promise<CephxUser> {
    const osd = pools.map((pool) => `profile rbd pool=${pool}`).join(', ');
    await this.tool('ceph', 'auth', 'get-or-create', `client.${name}`, 'mon', 'profile rbd', 'osd', osd);
    return { name, key: await this.userKey(name) };
  }

  async userKey(name: string): Promise<string> {
    return (await this.tool('ceph', 'auth', 'print-key', `client.${name}`)).trim();
  }

  async createImage(spec: string, o: { sizeMiB: number; features?: string }): Promise<void> {
    await this.tool('rbd', 'create', '--size', `${o.sizeMiB}M`, '--image-feature', o.features ?? 'layering', spec);
  }

  async removeImage(spec: string): Promise<void> {
    await this.tool('rbd', 'rm', '--no-progress', spec);
  }

  async imageInfo(spec: string): Promise<{ size: number; features: string[]; id: string }> {
    return JSON.parse(await this.tool('rbd', 'info', '--format', 'json', spec)) as {
      size: number;
      features: string[];
      id: string;
    };
  }

  /** The OSDs stop answering without closing a connection, like a dead network. */
  freezeOsds(): void {
    for (const [name, child] of this.#running) if (name.startsWith('osd.')) child.kill('SIGSTOP');
  }

  thawOsds(): void {
    for (const [name, child] of this.#running) if (name.startsWith('osd.')) child.kill('SIGCONT');
  }

  async stopMonitor(index: number): Promise<void> {
    const name = `mon.${this.#monitorId(index)}`;
    const child = this.#running.get(name);
    if (child !== undefined) await stopDaemon(child);
    this.#running.delete(name);
  }

  startMonitor(index: number): void {
    const id = this.#monitorId(index);
    if (!this.#running.has(`mon.${id}`)) this.#launch('mon', id);
  }

  async destroy(): Promise<void> {
    await Promise.all([...this.#running.values()].map((child) => stopDaemon(child)));
    this.#running.clear();
    await this.network.remove();
  }

  async bringUp(): Promise<void> {
    await this.#daemons.prepare();
    for (const { id } of this.#layout.monitors) this.#launch('mon', id);
    this.#launch('mgr', 'x');
    const osds = Array.from({ length: this.#layout.osds }, (_, index) => index);
    await Promise.all(osds.map((index) => this.#daemons.prepareOsd(index)));
    for (const index of osds) this.#launch('osd', String(index));
    await this.createPool('rbd');
  }

  #launch(kind: 'mon' | 'mgr' | 'osd', id: string): void {
    this.#running.set(`${kind}.${id}`, this.#daemons.start(kind, id));
  }

  #monitorId(index: number): string {
    const place = this.#layout.monitors[index];
    if (place === undefined) throw new RangeError(`the cluster has no monitor number ${index}`);
    return place.id;
  }

  #toolArgv(program: string, args: readonly string[]): string[] {
    return this.network.inside([program, '-c', this.configPath, ...args]);
  }
}
