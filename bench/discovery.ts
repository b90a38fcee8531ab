import { Cluster } from '../lab/cluster/cluster.ts';
import { RunFolder } from '../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../lab/machine/sweep.ts';
import { SshHost } from '../lab/ssh-host/ssh-host.ts';
import { Deadline } from '../src/base/deadline.ts';
import { silentLog } from '../src/base/log.ts';
import { Secret } from '../src/base/secret.ts';
import { connectMonitorHost } from '../src/ceph/control/ssh/monitor-host.ts';
import type { MonitorHost } from '../src/ceph/control/ssh/monitor-host.ts';
import { enterNetwork } from '../test/host/ceph/inside-network.ts';
import { type Bench, median, type Row } from './bench.ts';

const IMAGES = 100;
const ROUNDS = 7;
const PASSWORD = 'bench';

/**
 * What one step of the wizard costs: a new SSH connection to a monitor, sudo with a password, and the listing. Real
 * sshd and real Ceph.
 */
export const discoveryBench: Bench = {
  name: 'discovery',
  title: `Discovery over SSH (one monitor, ${IMAGES} images)`,
  async run(report) {
    await sweepDeadRuns();
    const run = RunFolder.create();
    const cluster = await Cluster.start(run, { name: 'discovery' });
    try {
      const users = [{ name: 'asks', password: PASSWORD, sudo: 'password' }] as const;
      const host = await SshHost.start(run, cluster, { users });
      report(`making ${IMAGES} images`);
      for (let image = 0; image < IMAGES; image += 1)
        await cluster.createImage(`rbd/image-${image}`, { sizeMiB: 1024 });
      const leave = enterNetwork(cluster.network.name);
      try {
        return await measure(host);
      } finally {
        leave();
        await host.stop();
      }
    } finally {
      await cluster.destroy();
      await sweepRun(run.id);
    }
  },
};

async function measure(host: SshHost): Promise<readonly Row[]> {
  const times = { connect: [] as number[], pools: [] as number[], images: [] as number[] };
  let commands = 0;
  let logins = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const said = host.log.length;
    times.pools.push(await step(host, times.connect, async (monitor) => void (await monitor.listPools(soon()))));
    const image = host.log.length;
    times.images.push(
      await step(host, times.connect, async (monitor) => {
        const { length } = await monitor.listImages('rbd', undefined, soon());
        if (length !== IMAGES) throw new Error(`${length} images are listed`);
      }),
    );
    for (const log of [host.log.slice(said, image), host.log.slice(image)]) {
      commands = Math.max(commands, log.split('Starting session: command').length - 1);
      logins = Math.max(logins, log.split('Accepted password').length - 1);
    }
  }
  const atMost = (limit: number) => ({ of: 'value', bound: 'at most', limit }) as const;
  return [
    { metric: 'SSH connection and login', value: median(times.connect), unit: 'ms' },
    { metric: 'list pools', value: median(times.pools), unit: 'ms', aim: atMost(2000) },
    { metric: `list ${IMAGES} images`, value: median(times.images), unit: 'ms', aim: atMost(2000) },
    { metric: 'connections of a step', value: logins, unit: 'connections', aim: atMost(1) },
    { metric: 'remote commands of a step', value: commands, unit: 'commands', aim: atMost(2) },
  ];
}

/** Milliseconds from nothing to the answer; those of the login go into `connects`. */
async function step(host: SshHost, connects: number[], ask: (monitor: MonitorHost) => Promise<void>): Promise<number> {
  const started = performance.now();
  await using monitor = await connectMonitorHost({
    targets: [{ host: host.address, port: host.port }],
    user: 'asks',
    password: new Secret(PASSWORD),
    hostKeys: { knownHosts: '', knownHostsPath: '/etc/rbdsr/known_hosts', unlisted: 'accept' },
    deadline: soon(),
    log: silentLog,
  });
  connects.push(performance.now() - started);
  await ask(monitor);
  return performance.now() - started;
}

function soon(): Deadline {
  return Deadline.after(30_000);
}
