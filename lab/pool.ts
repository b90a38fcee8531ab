import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Cluster } from './cluster/cluster.ts';
import { Faults } from './faults/fault.ts';
import type { Host } from './hosts/host.ts';
import { DRIVER, installProduct, packageProduct, unpackProduct } from './hosts/install.ts';
import { RunFolder } from './machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from './machine/sweep.ts';
import type { XapiDouble } from './xapi-double/double.ts';
import { registerDriver } from './xapi-double/driver.ts';
import type { HostPort } from './xapi-double/host-port.ts';
import { startXapiDouble } from './xapi-double/start.ts';
import { linksOf } from './uml-host/links.ts';
import { UmlHost } from './uml-host/uml-host.ts';
import { XenHost } from './xen-host/xen-host.ts';

export interface PoolOptions {
  /** Hosts of the usual kind, which come first; default one. */
  readonly hosts?: number;
  /** Hosts with a Xen under them (lab/hosts/needs.ts), which take minutes to come up; default none. */
  readonly xenHosts?: number;
  readonly monitors?: number;
  readonly osds?: number;
  /** Hears of each step that is done. */
  readonly progress?: (step: string) => void;
}

/** Xapi's time limit for one driver call is longer; the driver's own deadline ends first. */
const DRIVER_TIMEOUT_MS = 600_000;

/** A whole installation: a Ceph cluster, hosts with the product on them, and the double of the xapi that rules them. */
export class Pool {
  readonly run: RunFolder;
  readonly cluster: Cluster;
  /** The master first. */
  readonly hosts: readonly Host[];
  readonly double: XapiDouble;
  /** The file that is published, on this machine. */
  readonly selfExtractor: string;
  readonly faults = new Faults();
  readonly #drivers: DriverEnvironment;

  private constructor(run: RunFolder, { cluster, hosts, xapi, drivers, selfExtractor }: Parts) {
    this.run = run;
    this.cluster = cluster;
    this.hosts = hosts;
    this.double = xapi;
    this.#drivers = drivers;
    this.selfExtractor = selfExtractor;
  }

  /** Builds the product, starts everything and installs it; takes down what earlier runs left and, after a failure or a signal, itself. */
  static async start(o: PoolOptions = {}): Promise<Pool> {
    await sweepDeadRuns();
    const run = RunFolder.create();
    const leave = sweepOnSignal(run);
    try {
      const pool = await bringUp(run, o, (parts) => new Pool(run, parts));
      pool.#leave = leave;
      return pool;
    } catch (error) {
      await takeDown(run);
      leave();
      throw error;
    }
  }

  #leave: () => void = () => undefined;

  /** The n-th host, the master is 0. */
  host(index: number): Host {
    const host = this.hosts[index];
    if (host === undefined) throw new RangeError(`the pool has no host number ${index}`);
    return host;
  }

  /** The hosts that are not switched off. */
  get running(): readonly Host[] {
    return this.hosts.filter(({ isOn }) => isOn);
  }

  /** xapi's reference of the n-th host. */
  hostRef(index: number): string {
    const host = this.double.hosts[index];
    if (host === undefined) throw new RangeError(`the pool has no host number ${index}`);
    return host.ref;
  }

  /** While `work` runs, every driver xapi starts has this in its environment, such as a fault point (RBDSR_FAULT). */
  async withDriverEnvironment<T>(environment: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
    const before = this.#drivers.environment;
    this.#drivers.environment = environment;
    try {
      return await work();
    } finally {
      this.#drivers.environment = before;
    }
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.hosts.map((host) => host.powerCut()));
    await this.double.close();
    await this.cluster.destroy();
    await takeDown(this.run);
    this.#leave();
  }
}

/** What xapi starts drivers with. */
interface DriverEnvironment {
  environment: Readonly<Record<string, string>>;
}

interface Parts {
  readonly cluster: Cluster;
  readonly hosts: readonly Host[];
  readonly xapi: XapiDouble;
  readonly drivers: DriverEnvironment;
  readonly selfExtractor: string;
}

/** xapi's port in the pool's network. */
const XAPI_PORT = 80;

/** Hosts need the cluster's network, not its daemons: both start at once. */
async function bringUp(run: RunFolder, o: PoolOptions, made: (parts: Parts) => Pool): Promise<Pool> {
  const progress = o.progress ?? ((): void => undefined);
  const places = placesOf(o);
  const selfExtractor = packageProduct(run);
  const product = selfExtractor.then((file) => {
    progress('RBDSR is packed');
    return unpackProduct(run, file);
  });
  product.catch(() => undefined); // told by whoever waits for it
  const hosts: Host[] = [];
  const drivers: DriverEnvironment = { environment: {} };
  const cluster = await Cluster.layOut(run, {
    ...(o.monitors === undefined ? {} : { monitors: o.monitors }),
    ...(o.osds === undefined ? {} : { osds: o.osds }),
  });
  const xapiSocket = join(run.socketPath, 'xapi');
  const listenAt = { unixSocket: xapiSocket, server: await cluster.network.listen(XAPI_PORT) };
  const xapi = await startXapiDouble(listenAt, hostPortOf(hosts, drivers), { profileId: '8.3b', hosts: places });
  const daemons = cluster.bringUp().then(() => {
    progress(`Ceph is up: ${cluster.monitors.length} monitor(s), ${o.osds ?? 1} OSD(s), fsid ${cluster.fsid}`);
  });
  const booted = places.map(async ({ name, uuid, xen }, index) => {
    const host = xen
      ? await XenHost.boot(run, cluster.network, { name, uuid, xapiSocket })
      : await UmlHost.boot(run, cluster.network, { name, uuid, index, xapiPort: XAPI_PORT });
    progress(`${name} is up: ${xen ? 'Xen and dom0' : 'a user-mode Linux kernel'}`);
    await installProduct(host, await product);
    progress(`RBDSR is installed and enabled on ${name}`);
    return host;
  });
  const [up] = await Promise.all([Promise.all(booted), daemons, product]);
  hosts.push(...up);
  await registerDriver(xapi, DRIVER);
  progress('xapi knows the driver');
  return made({ cluster, hosts, xapi, drivers, selfExtractor: await selfExtractor });
}

interface Place {
  readonly name: string;
  readonly uuid: string;
  readonly xen: boolean;
  /** As xapi has it. */
  readonly address?: string;
}

function placesOf({ hosts = 1, xenHosts = 0 }: PoolOptions): Place[] {
  return Array.from({ length: hosts + xenHosts }, (_, index) => {
    const [name, uuid, xen] = [`host${index + 1}`, randomUUID(), index >= hosts];
    return { name, uuid, xen, ...(xen ? {} : { address: linksOf(name, index).pool.there }) };
  });
}

/** xapi's way to run a driver, over the hosts' agents. */
function hostPortOf(hosts: readonly Host[], drivers: DriverEnvironment): HostPort {
  return {
    exec: async (hostUuid, program, argument) => {
      const host = hosts.find(({ uuid }) => uuid === hostUuid);
      if (host === undefined) throw new Error(`no host of the pool has the uuid ${hostUuid}`);
      return host.exec([program, argument], { timeoutMs: DRIVER_TIMEOUT_MS, env: drivers.environment });
    },
  };
}

/** What is still being brought up beside what failed makes nothing more. */
function takeDown(run: RunFolder): Promise<void> {
  run.end();
  return sweepRun(run.id);
}

/** After Ctrl-C or TERM nothing of the run is left; returns how to stop listening. */
function sweepOnSignal(run: RunFolder): () => void {
  const onSignal = (signal: NodeJS.Signals): void => {
    process.stderr.write(`\n${signal}: taking the lab down\n`);
    // Whatever waits for a host or the cluster fails now; none of that may end the process before the sweep does.
    process.on('uncaughtException', () => undefined);
    void takeDown(run).finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return () => process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}
