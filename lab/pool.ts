import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Cluster } from './cluster/cluster.ts';
import { Dom0 } from './xen-host/dom0.ts';
import { DRIVER, installProduct, packageProduct, unpackProduct } from './xen-host/install.ts';
import { RunFolder } from './machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from './machine/sweep.ts';
import type { XapiDouble } from './xapi-double/double.ts';
import { registerDriver } from './xapi-double/driver.ts';
import type { HostPort } from './xapi-double/host-port.ts';
import { startXapiDouble } from './xapi-double/start.ts';

export interface PoolOptions {
  readonly dom0s?: number;
  readonly monitors?: number;
  readonly osds?: number;
  /** Leaves ceph, rbd and rados visible in the first dom0, so that it can make images. */
  readonly cephToolsOnMaster?: boolean;
  /** Hears of each step that is done. */
  readonly progress?: (step: string) => void;
}

/** Xapi's time limit for one driver call is longer; the driver's own deadline ends first. */
const DRIVER_TIMEOUT_MS = 600_000;

/** A whole installation: a Ceph cluster, Xen hosts with the product on them, and the double of the xapi that rules them. */
export class Pool {
  readonly run: RunFolder;
  readonly cluster: Cluster;
  /** The master first. */
  readonly dom0s: readonly Dom0[];
  readonly double: XapiDouble;
  /** The file that is published, on this machine. */
  readonly selfExtractor: string;
  readonly #drivers: DriverEnvironment;

  private constructor(run: RunFolder, { cluster, dom0s, xapi, drivers, selfExtractor }: Parts) {
    this.run = run;
    this.cluster = cluster;
    this.dom0s = dom0s;
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
  host(index: number): Dom0 {
    const dom0 = this.dom0s[index];
    if (dom0 === undefined) throw new RangeError(`the pool has no host number ${index}`);
    return dom0;
  }

  /** The hosts that are not switched off. */
  get running(): readonly Dom0[] {
    return this.dom0s.filter(({ isOn }) => isOn);
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
    await Promise.allSettled(this.dom0s.map((dom0) => dom0.powerOff()));
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
  readonly dom0s: readonly Dom0[];
  readonly xapi: XapiDouble;
  readonly drivers: DriverEnvironment;
  readonly selfExtractor: string;
}

/** dom0s need the cluster's network, not its daemons: both start at once. */
async function bringUp(run: RunFolder, o: PoolOptions, made: (parts: Parts) => Pool): Promise<Pool> {
  const progress = o.progress ?? ((): void => undefined);
  const names = Array.from({ length: o.dom0s ?? 1 }, (_, index) => ({ name: `host${index + 1}`, uuid: randomUUID() }));
  const selfExtractor = packageProduct(run);
  const product = selfExtractor.then((file) => {
    progress('RBDSR is packed');
    return unpackProduct(run, file);
  });
  const dom0s: Dom0[] = [];
  const drivers: DriverEnvironment = { environment: {} };
  const xapiSocket = join(run.socketPath, 'xapi');
  const xapi = await startXapiDouble({ unixSocket: xapiSocket }, hostPortOf(dom0s, drivers), {
    profileId: '8.3b',
    hosts: names,
  });
  const cluster = await Cluster.layOut(run, {
    ...(o.monitors === undefined ? {} : { monitors: o.monitors }),
    ...(o.osds === undefined ? {} : { osds: o.osds }),
  });
  const daemons = cluster.bringUp().then(() => {
    progress(`Ceph is up: ${cluster.monitors.length} monitor(s), ${o.osds ?? 1} OSD(s), fsid ${cluster.fsid}`);
  });
  const booted = names.map(async ({ name, uuid }, index) => {
    const keepCephTools = index === 0 && o.cephToolsOnMaster === true;
    const dom0 = await Dom0.boot(run, cluster.network, { name, hostUuid: uuid, xapiSocket, keepCephTools });
    progress(`${name} is up: Xen and dom0`);
    await installProduct(dom0, await product);
    progress(`RBDSR is installed and enabled on ${name}`);
    return dom0;
  });
  const [hosts] = await Promise.all([Promise.all(booted), daemons, product]);
  dom0s.push(...hosts);
  await registerDriver(xapi, DRIVER);
  progress('xapi knows the driver');
  return made({ cluster, dom0s, xapi, drivers, selfExtractor: await selfExtractor });
}

/** xapi's way to run a driver, over the hosts' agents. */
function hostPortOf(dom0s: readonly Dom0[], drivers: DriverEnvironment): HostPort {
  return {
    exec: async (hostUuid, program, argument) => {
      const dom0 = dom0s.find((candidate) => candidate.hostUuid === hostUuid);
      if (dom0 === undefined) throw new Error(`no host of the pool has the uuid ${hostUuid}`);
      return dom0.exec([program, argument], { timeoutMs: DRIVER_TIMEOUT_MS, env: drivers.environment });
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
