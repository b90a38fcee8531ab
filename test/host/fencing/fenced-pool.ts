import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { linux61, writeTree } from '../../support/recorded-sysfs.ts';
import { PoolWithCluster } from '../access/pool-with-cluster.ts';

/** Of the machine that the tests run on: whatever is started in the cluster's network comes from there. */
export const THERE = '10.66.0.1';

/** A client that has an image open, as a process of this machine. */
export interface Client extends AsyncDisposable {
  /** As its watch shows it. */
  readonly address: string;
  readonly process: ChildProcess;
  /** With the code it ended with. */
  readonly ended: Promise<number | null>;
}

/**
 * A pool of two hosts, alpha, where the command runs, and beta, whose clients of the real cluster are processes of this
 * machine.
 */
export class FencedPool {
  readonly pool: PoolWithCluster;
  readonly beta: Row;
  readonly #metrics: Row;

  private constructor(pool: PoolWithCluster) {
    this.pool = pool;
    const { db } = pool.xapi;
    this.#metrics = db.create('host_metrics', { live: false });
    this.beta = db.create('host', { name_label: 'beta', address: '192.0.2.2', metrics: this.#metrics.ref });
    db.create('SM', { type: 'rbd', driver_filename: '/opt/xensource/sm/RBDSR' });
    db.create('PIF', { host: this.beta.ref, device: 'eth1', IP: THERE });
  }

  static async make(name: string): Promise<FencedPool> {
    const pool = await PoolWithCluster.make(name);
    // A busy machine needs more than the 30 s after which a client that is stopped is forgotten.
    await pool.cluster.tool('ceph', 'config', 'set', 'osd', 'osd_client_watch_timeout', '600');
    return new FencedPool(pool);
  }

  set betaIsLive(live: boolean) {
    this.#metrics.fields['live'] = live;
  }

  /** The master has heard of beta last. */
  heardNow(ms = Date.now() + 1000): void {
    this.#metrics.fields['last_updated'] = new Date(ms).toISOString().replaceAll('-', '').replace(/\.\d+/, '');
  }

  /** An SR of type rbd on a new image, plugged on both hosts, by a user of its own. */
  async sr(image: string, caps?: { readonly mon?: string }): Promise<{ uuid: string; row: Row; user: string }> {
    const { cluster, xapi } = this.pool;
    await cluster.createImage(`rbd/${image}`, { sizeMiB: 64 });
    const user = await cluster.createUser(`user-${image}`, ['rbd']);
    if (caps?.mon !== undefined) {
      await cluster.tool('ceph', 'auth', 'caps', `client.${user.name}`, 'mon', caps.mon, 'osd', 'profile rbd pool=rbd');
    }
    const row = xapi.db.create('SR', { type: 'rbd', name_label: image, sm_config: { rbd_fsid: cluster.fsid } });
    const device_config = {
      monitors: cluster.monitors.join(','),
      pool: 'rbd',
      image,
      user: user.name,
      password_secret: this.pool.secret(user.key),
    };
    for (const host of [xapi.master.ref, this.beta.ref]) {
      xapi.db.create('PBD', { SR: row.ref, host, device_config, currently_attached: true });
    }
    return { uuid: stringOf(row, 'uuid'), row, user: user.name };
  }

  /** Nobody knows the SR any more. */
  forget(row: Row): void {
    const { db } = this.pool.xapi;
    for (const { ref } of db.where('PBD', 'SR', row.ref)) db.destroy('PBD', ref);
    for (const { ref } of db.where('VDI', 'SR', row.ref)) db.destroy('VDI', ref);
    db.destroy('SR', row.ref);
  }

  /** Opens the image as an emulator does, and writes a little now and then. */
  async client(image: string): Promise<Client> {
    const { cluster } = this.pool;
    const before = await this.watchers(image);
    const bench = '--rbd-qos-iops-limit=4 bench --io-type write --io-threads 1 --io-size 4K --io-total 1T'.split(' ');
    const [program = '', ...argv] = cluster.network.inside(['rbd', '-c', cluster.configPath, ...bench, `rbd/${image}`]);
    const child = spawn(program, argv, { stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const address = await Deadline.after(60_000).until(
      async () => (await this.watchers(image)).find((one) => !before.includes(one)),
      'the client to open the image',
      200,
    );
    return {
      address,
      process: child,
      ended,
      [Symbol.asyncDispose]: async () => {
        child.kill('SIGCONT');
        child.kill('SIGKILL');
        await ended;
      },
    };
  }

  async watchers(image: string): Promise<readonly string[]> {
    const text = await this.pool.cluster.tool('rbd', 'status', '--format', 'json', `rbd/${image}`);
    return (JSON.parse(text) as { watchers: { address: string }[] }).watchers.map(({ address }) => address);
  }

  async blocklist(): Promise<Readonly<Record<string, string>>> {
    const text = await this.pool.cluster.tool('ceph', 'osd', 'dump', '--format', 'json');
    return (JSON.parse(text) as { blocklist: Record<string, string> }).blocklist;
  }

  notes(row: Row): readonly string[] {
    return Object.keys(mapOf(row, 'sm_config')).filter((key) => key.startsWith('rbd_fence_'));
  }

  /** Alpha's kernel sees the image so large. */
  mapHere(image: string, sizeBytes: number): void {
    const changes = {
      pool: 'rbd',
      name: image,
      major: '252',
      size: String(sizeBytes),
      cluster_fsid: this.pool.cluster.fsid,
      client_id: 'client4100',
      client_addr: '198.51.100.1:0/123',
    };
    writeTree({ sysRoot: join(this.pool.root, 'sys') }, linux61(0, changes));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.pool[Symbol.asyncDispose]();
  }
}
