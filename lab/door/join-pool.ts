import { readFileSync } from 'node:fs';
import { freezeProcess, thawProcess } from '../machine/program.ts';
import { join } from 'node:path';
import { Cluster } from '../cluster/cluster.ts';
import type { DaemonControl } from '../cluster/daemons.ts';
import { DRIVER, buildSources, putSources } from '../hosts/install.ts';
import { NetworkNamespace } from '../machine/network-namespace.ts';
import { RunFolder } from '../machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../machine/sweep.ts';
import { type DriverEnvironment, hostPortOf, Pool } from '../pool.ts';
import { registerDriver } from '../xapi-double/driver.ts';
import { startXapiDouble } from '../xapi-double/start.ts';
import { ask, askToJoin } from './ask.ts';
import { JoinedHost } from './joined-host.ts';
import type { LabDescription } from './requests.ts';

/**
 * The lab behind that door as a pool of our own: the same cluster and hosts, another xapi that knows nothing yet, and
 * the sources as they are now on every host. Stopping it leaves the lab up.
 */
export async function joinPool(door: string): Promise<Pool> {
  await sweepDeadRuns();
  const run = RunFolder.create();
  const product = buildSources(run);
  const socket = join(run.socketPath, 'xapi');
  const joined = await askToJoin(door, socket);
  const lab = await ask<LabDescription>(door, { ask: 'describe' });
  const network = NetworkNamespace.existing(lab.network);
  const cluster = Cluster.join(lab.layout, network, daemonsBehind(door, lab.layout.dir));
  const hosts = lab.hosts.map((description) => new JoinedHost(door, description));
  const drivers: DriverEnvironment = { environment: {} };
  const double = await startXapiDouble({ unixSocket: socket }, hostPortOf(hosts, drivers), {
    profileId: '8.3b',
    hosts: lab.hosts,
  });
  for (const host of hosts) if (!host.isOn) await host.powerOn();
  await Promise.all(hosts.map(async (host) => putSources(host, await product)));
  await registerDriver(double, DRIVER);
  const stop = async (): Promise<void> => {
    await double.close();
    joined.destroy();
    await sweepRun(run.id);
  };
  return new Pool({ run, cluster, hosts, double, drivers, selfExtractor: lab.selfExtractor, stop });
}

function daemonsBehind(door: string, folder: string): DaemonControl {
  const pidOfDaemon = (name: string): number => Number(readFileSync(join(folder, `${name}.pid`), 'utf8'));
  return {
    start: (name) => ask(door, { ask: 'daemon', name, does: 'start' }),
    stop: (name) => ask(door, { ask: 'daemon', name, does: 'stop' }),
    freeze: (name) => freezeProcess(pidOfDaemon(name)),
    thaw: (name) => thawProcess(pidOfDaemon(name)),
  };
}
