import type { Cluster } from './cluster/cluster.ts';
import { Faults } from './faults/fault.ts';
import type { Host } from './hosts/host.ts';
import type { RunFolder } from './machine/run-folder.ts';
import type { XapiDouble } from './xapi-double/double.ts';
import type { HostPort } from './xapi-double/host-port.ts';

export interface PoolParts {
  readonly run: RunFolder;
  readonly cluster: Cluster;
  readonly hosts: readonly Host[];
  readonly double: XapiDouble;
  readonly drivers: DriverEnvironment;
  readonly selfExtractor: string;
  readonly stop: () => Promise<void>;
}

/** What xapi starts drivers with. */
export interface DriverEnvironment {
  environment: Readonly<Record<string, string>>;
  /** A program with arguments that runs the driver, such as strace. */
  under?: readonly string[];
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

  readonly #stop: () => Promise<void>;

  constructor({ run, cluster, hosts, double, drivers, selfExtractor, stop }: PoolParts) {
    this.run = run;
    this.cluster = cluster;
    this.hosts = hosts;
    this.double = double;
    this.#drivers = drivers;
    this.selfExtractor = selfExtractor;
    this.#stop = stop;
  }

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

  /** While `work` runs, every driver is started by that program, which has driver and request after these arguments. */
  async withDriversUnder<T>(argv: readonly string[], work: () => Promise<T>): Promise<T> {
    this.#drivers.under = argv;
    try {
      return await work();
    } finally {
      delete this.#drivers.under;
    }
  }

  /** Takes down what was started for it. */
  stop(): Promise<void> {
    return this.#stop();
  }
}

/** xapi's way to run a driver, over the hosts' agents. */
export function hostPortOf(hosts: readonly Host[], drivers: DriverEnvironment): HostPort {
  return {
    exec: async (hostUuid, program, argument) => {
      const host = hosts.find(({ uuid }) => uuid === hostUuid);
      if (host === undefined) throw new Error(`no host of the pool has the uuid ${hostUuid}`);
      const argv = [...(drivers.under ?? []), program, argument];
      return host.exec(argv, { timeoutMs: DRIVER_TIMEOUT_MS, env: drivers.environment });
    },
  };
}
