import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkNamespace } from '../machine/network-namespace.ts';
import { check, type Outcome, runProgram } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { type DaemonControl, Daemons } from './daemons.ts';
import { adminSocket, type ClusterLayout, configPath, layOut, type MessengerVersions } from './layout.ts';
import { preparePool } from './prepare-pool.ts';

export interface ClusterOptions {
  readonly monitors?: number;
  readonly osds?: number;
  /** Distinguishes several clusters of one run. */
  readonly name?: string;
  /** Both unless given; krbd and the product's other clients speak v1. */
  readonly messengers?: MessengerVersions;
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
  readonly layout: ClusterLayout;
  readonly daemons: DaemonControl;
  /** Those that are ours to bring up and take down. */
  readonly #own: Daemons | undefined;

  private constructor(layout: ClusterLayout, network: NetworkNamespace, others?: DaemonControl) {
    this.layout = layout;
    this.network = network;
    this.fsid = layout.fsid;
    this.#own = others === undefined ? new Daemons(layout, network) : undefined;
    this.daemons = others ?? this.#owned();
  }

  /** One that another process has brought up and keeps. */
  static join(layout: ClusterLayout, network: NetworkNamespace, daemons: DaemonControl): Cluster {
    return new Cluster(layout, network, daemons);
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
    const { monitors = 1, osds = 1, messengers = 'both' } = o;
    const layout = layOut({ dir: run.folder(name), socketDir, monitors, osds, messengers });
    const addresses = layout.monitors.map(({ address }) => address);
    return new Cluster(layout, await NetworkNamespace.create(run, name, addresses));
  }

  /** The monitors as a device-config value: addresses of msgr v1, the protocol krbd speaks everywhere. */
  get monitors(): string[] {
    return this.layout.monitors.map(({ address }) => `${address}:6789`);
  }

  get configPath(): string {
    return configPath(this.layout);
  }

  /** `ceph`, `rbd` or `rados` with the admin's key; stdout, or an error. */
  tool(program: 'ceph' | 'rbd' | 'rados' | 'rbd-nbd', ...args: readonly string[]): Promise<string> {
    return check(this.#toolArgv(program, args));
  }

  /** The same for a call that may fail. */
  tryTool(program: 'ceph' | 'rbd' | 'rados', ...args: readonly string[]): Promise<Outcome> {
    return runProgram(this.#toolArgv(program, args));
  }

  /** `copies`: of every object, each on another OSD; writes go on while all but one are gone. */
  async createPool(name: string, { pgs = 8, copies = 1 } = {}): Promise<void> {
    await this.tool('ceph', 'osd', 'pool', 'create', name, String(pgs), String(pgs));
    if (copies > 1) await this.tool('ceph', 'osd', 'pool', 'set', name, 'size', String(copies));
    await preparePool(this, name);
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

  /** Of format 1, which the tools make no more unless they are told to. */
  async createOldImage(spec: string, o: { sizeMiB: number }): Promise<void> {
    const argv = this.#toolArgv('rbd', ['create', '--image-format', '1', '--size', `${o.sizeMiB}M`, spec]);
    await check(['env', 'RBD_FORCE_ALLOW_V1=1', ...argv]);
  }

  async removeImage(spec: string): Promise<void> {
    await this.tool('rbd', 'rm', '--no-progress', spec);
  }

  /** Of a client that died without a word: it is fenced first, or the OSDs would believe in it for 30 s more. */
  async removeImageOfDeadClient(spec: string): Promise<void> {
    const status = JSON.parse(await this.tool('rbd', 'status', '--format', 'json', spec)) as {
      readonly watchers: readonly { readonly address: string }[];
    };
    for (const { address } of status.watchers) await this.tool('ceph', 'osd', 'blocklist', 'add', address, '60');
    await this.removeImage(spec);
  }

  async imageInfo(spec: string): Promise<{ size: number; features: string[]; id: string }> {
    return JSON.parse(await this.tool('rbd', 'info', '--format', 'json', spec)) as {
      size: number;
      features: string[];
      id: string;
    };
  }

  /** "mon.a", "mon.b", ... */
  get monitorNames(): readonly string[] {
    return this.layout.monitors.map(({ id }) => `mon.${id}`);
  }

  /** "osd.0", "osd.1", ... */
  get osdNames(): readonly string[] {
    return Array.from({ length: this.layout.osds }, (_, index) => `osd.${index}`);
  }

  /** The OSDs stop answering without closing a connection, like a dead network. */
  async freezeOsds(): Promise<void> {
    await Promise.all(this.osdNames.map((name) => this.daemons.freeze(name)));
  }

  thawOsds(): void {
    for (const name of this.osdNames) this.daemons.thaw(name);
  }

  stopMonitor(index: number): Promise<void> {
    return this.daemons.stop(this.#monitorName(index));
  }

  startMonitor(index: number): Promise<void> {
    return this.daemons.start(this.#monitorName(index));
  }

  /** Until this monitor, which still runs, serves nobody: its lease outlives the others by seconds. */
  async quorumIsLost(index: number): Promise<void> {
    const asks = ['ceph', '--admin-daemon', adminSocket(this.layout, this.#monitorName(index)), 'mon_status'];
    for (;;) {
      const { quorum } = JSON.parse(await check(this.network.inside(asks))) as { quorum: number[] };
      if (quorum.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async destroy(): Promise<void> {
    await this.#owned().stopAll();
    await this.network.remove();
  }

  async bringUp(): Promise<void> {
    const daemons = this.#owned();
    await daemons.prepare();
    for (const name of this.monitorNames) await daemons.start(name);
    await daemons.start('mgr.x');
    await Promise.all(this.osdNames.map((_name, index) => daemons.prepareOsd(index)));
    for (const name of this.osdNames) await daemons.start(name);
    await this.createPool('rbd');
  }

  #owned(): Daemons {
    if (this.#own === undefined) throw new Error('this cluster is kept by another process');
    return this.#own;
  }

  #monitorName(index: number): string {
    const name = this.monitorNames[index];
    if (name === undefined) throw new RangeError(`the cluster has no monitor number ${index}`);
    return name;
  }

  #toolArgv(program: string, args: readonly string[]): string[] {
    return this.network.inside([program, '-c', this.configPath, ...args]);
  }
}
