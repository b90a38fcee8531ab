import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Cluster } from './cluster/cluster.ts';
import type { Host } from './hosts/host.ts';
import { DRIVER, installProduct, packageProduct, unpackProduct } from './hosts/install.ts';
import { routeToXapi, type XapiRoute } from './hosts/xapi-route.ts';
import { PROJECT_ROOT } from './machine/project.ts';
import { RunFolder } from './machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from './machine/sweep.ts';
import { type DriverEnvironment, hostPortOf, Pool } from './pool.ts';
import { linksOf } from './uml-host/links.ts';
import { UmlHost } from './uml-host/uml-host.ts';
import { registerDriver } from './xapi-double/driver.ts';
import { startXapiDouble } from './xapi-double/start.ts';
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

/** A pool of our own, and where its hosts find xapi. */
export interface LabPool {
  readonly pool: Pool;
  readonly xapi: XapiRoute;
}

/**
 * Builds the product, starts everything and installs it; takes down what earlier runs left and, after a failure or a
 * signal, itself.
 */
export async function startPool(o: PoolOptions = {}): Promise<Pool> {
  return (await startLab(o)).pool;
}

export async function startLab(o: PoolOptions = {}): Promise<LabPool> {
  await sweepDeadRuns();
  const run = RunFolder.create();
  const leave = sweepOnSignal(run);
  try {
    return await bringUp(run, o, leave);
  } catch (error) {
    await takeDown(run);
    leave();
    throw error;
  }
}

/** xapi's port in the pool's network. */
const XAPI_PORT = 80;

/** Hosts need the cluster's network, not its daemons: both start at once. */
async function bringUp(run: RunFolder, o: PoolOptions, leave: () => void): Promise<LabPool> {
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
  const xapi: XapiRoute = { path: join(run.socketPath, 'xapi') };
  const atXapiPort = await cluster.network.listen(XAPI_PORT);
  routeToXapi(atXapiPort, xapi);
  const double = await startXapiDouble({ unixSocket: xapi.path }, hostPortOf(hosts, drivers), {
    profileId: '8.3b',
    hosts: places,
  });
  const daemons = cluster.bringUp().then(() => {
    progress(`Ceph is up: ${cluster.monitors.length} monitor(s), ${o.osds ?? 1} OSD(s), fsid ${cluster.fsid}`);
  });
  const booted = places.map(async ({ name, uuid, xen }, index) => {
    const host = xen
      ? await XenHost.boot(run, cluster.network, { name, uuid, xapi })
      : await UmlHost.boot(run, cluster.network, { name, uuid, index, xapiPort: XAPI_PORT });
    progress(`${name} is up: ${xen ? 'Xen and dom0' : 'a user-mode Linux kernel'}`);
    await installProduct(host, await product);
    progress(`RBDSR is installed and enabled on ${name}`);
    return host;
  });
  const [up] = await Promise.all([Promise.all(booted), daemons, product]);
  hosts.push(...up);
  await registerDriver(double, DRIVER);
  progress('xapi knows the driver');
  const stop = async (): Promise<void> => {
    await Promise.allSettled(hosts.map((host) => host.powerCut()));
    await double.close();
    atXapiPort.close();
    await cluster.destroy();
    await takeDown(run);
    leave();
  };
  const parts = { run, cluster, hosts, double, drivers, selfExtractor: await selfExtractor, stop };
  return { pool: new Pool(parts), xapi };
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

/** What is still being brought up beside what failed makes nothing more. */
function takeDown(run: RunFolder): Promise<void> {
  run.end();
  return sweepRun(run.id);
}

/** Vitest kills its workers half a second after it has asked them to end: then another process goes on with it. */
function sweepWhenGone(): void {
  const argv = [join(PROJECT_ROOT, 'scripts/run-ts.mjs'), 'lab/sweep-after.ts', String(process.pid)];
  spawn(process.execPath, argv, { detached: true, stdio: 'ignore' }).unref();
}

/** After Ctrl-C or TERM nothing of the run is left; returns how to stop listening. */
function sweepOnSignal(run: RunFolder): () => void {
  const onSignal = (signal: NodeJS.Signals): void => {
    process.stderr.write(`\n${signal}: taking the lab down\n`);
    sweepWhenGone();
    // Whatever waits for a host or the cluster fails now; none of that may end the process before the sweep does.
    process.on('uncaughtException', () => undefined);
    void takeDown(run).finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  // A worker of vitest whose main process has gone hears of it so.
  const onOrphaned = (): void => onSignal('SIGTERM');
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('disconnect', onOrphaned);
  return () => process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('disconnect', onOrphaned);
}
