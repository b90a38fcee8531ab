import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkNamespace } from '../machine/network-namespace.ts';
import { check, type Outcome, runProgram, stopDaemon } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { type DaemonName, Daemons } from './daemons.ts';
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
  readonly #running = new Map<DaemonName, ChildProcess>();

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

  /** `copies`: of every object, each on another OSD; writes go on while all but one are gone. */
  async createPool(name: string, { pgs = 8, copies = 1 } = {}): Promise<void> {
    await this.tool('ceph', 'osd', 'pool', 'create', name, String(pgs), String(pgs));
    if (copies > 1) await this.tool('ceph', 'osd', 'pool', 'set', name, 'size', String(copies));
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
  get monitorNames(): readonly DaemonName[] {
    return this.#layout.monitors.map(({ id }) => `mon.${id}` as const);
  }

  /** "osd.0", "osd.1", ... */
  get osdNames(): readonly DaemonName[] {
    return Array.from({ length: this.#layout.osds }, (_, index) => `osd.${index}` as const);
  }

  /** The OSDs stop answering without closing a connection, like a dead network. */
  freezeOsds(): void {
    for (const name of this.osdNames) this.freezeDaemon(name);
  }

  thawOsds(): void {
    for (const name of this.osdNames) this.thawDaemon(name);
  }

  /** One that is dead stays so. */
  freezeDaemon(name: DaemonName): void {
    this.#running.get(name)?.kill('SIGSTOP');
  }

  thawDaemon(name: DaemonName): void {
    this.#running.get(name)?.kill('SIGCONT');
  }

  /** With a signal that it cannot answer; it is gone when this returns. One that is dead stays so. */
  async killDaemon(name: DaemonName): Promise<void> {
    const child = this.#running.get(name);
    if (child !== undefined) await stopDaemon(child);
    this.#running.delete(name);
  }

  /** On the store it had. One that runs stays as it is. */
  startDaemon(name: DaemonName): void {
    if (!this.#running.has(name)) this.#running.set(name, this.#daemons.start(name));
  }

  /** The ids of the monitors in the quorum, as this one sees it: none where it has lost them. It answers without a quorum, too. */
  async quorumOf(name: DaemonName): Promise<readonly number[]> {
    const socket = join(this.#layout.socketDir, `${name}.asok`);
    const said = await check(this.network.inside(['ceph', '--admin-daemon', socket, 'mon_status']));
    return (JSON.parse(said) as { readonly quorum: readonly number[] }).quorum;
  }

  async stopMonitor(index: number): Promise<void> {
    await this.killDaemon(this.#monitorName(index));
  }

  startMonitor(index: number): void {
    this.startDaemon(this.#monitorName(index));
  }

  async destroy(): Promise<void> {
    await Promise.all([...this.#running.values()].map((child) => stopDaemon(child)));
    this.#running.clear();
    await this.network.remove();
  }

  async bringUp(): Promise<void> {
    await this.#daemons.prepare();
    for (const name of this.monitorNames) this.startDaemon(name);
    this.startDaemon('mgr.x');
    await Promise.all(this.osdNames.map((_name, index) => this.#daemons.prepareOsd(index)));
    for (const name of this.osdNames) this.startDaemon(name);
    await this.createPool('rbd');
  }

  #monitorName(index: number): DaemonName {
    const name = this.monitorNames[index];
    if (name === undefined) throw new RangeError(`the cluster has no monitor number ${index}`);
    return name;
  }

  #toolArgv(program: string, args: readonly string[]): string[] {
    return this.network.inside([program, '-c', this.configPath, ...args]);
  }
}
