import { Cluster } from '../lab/cluster/cluster.ts';
import { RunFolder } from '../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../lab/machine/sweep.ts';
import { SshHost } from '../lab/ssh-host/ssh-host.ts';
import { Deadline } from '../src/base/deadline.ts';
import { silentLog } from '../src/base/log.ts';
import { Secret } from '../src/base/secret.ts';
import { MiB } from '../src/base/units.ts';
import { clusterAccess } from '../src/ceph/cluster/access.ts';
import { type NativePlane, openNativePlane } from '../src/ceph/control/native/native-plane.ts';
import { connectMonitorHost } from '../src/ceph/control/ssh/monitor-host.ts';
import type { MonitorHost } from '../src/ceph/control/ssh/monitor-host.ts';
import { enterNetwork } from '../test/host/ceph/inside-network.ts';
import { type Bench, median, type Row } from './bench.ts';

/** One list of each after the other, how often, and what it may take by ourselves, ms. */
const LISTS = [
  { images: 100, rounds: 7, limit: 300 },
  { images: 1000, rounds: 3, limit: 1500 },
] as const;
const PASSWORD = 'bench';

/**
 * What one step of the wizard costs: a new SSH connection to a monitor, sudo with a password, and the listing; the same
 * spoken by this process itself, from the login on, as a user with `profile rbd` on one pool; and by `rbd ls -l` as the
 * administrator, the program's start included. Each round asks all three. Real sshd and real Ceph.
 */
export const discoveryBench: Bench = {
  name: 'discovery',
  title: 'Discovery, over SSH and by ourselves (one monitor)',
  async run(report) {
    await sweepDeadRuns();
    const run = RunFolder.create();
    const cluster = await Cluster.start(run, { name: 'discovery' });
    try {
      const users = [{ name: 'asks', password: PASSWORD, sudo: 'password' }] as const;
      const host = await SshHost.start(run, cluster, { users });
      const { name: user, key } = await cluster.createUser('bench', ['rbd']);
      const access = clusterAccess({ monitors: cluster.monitors.join(','), user, key: new Secret(key) });
      const leave = enterNetwork(cluster.network.name);
      try {
        const others = { open: () => openNativePlane(access), tools: () => cluster.tool('rbd', 'ls', '-l') };
        const rows: Row[] = [];
        for (const list of LISTS) {
          report(`making ${list.images} images`);
          await by(others.open, (plane) => makeImages(plane, list.images));
          rows.push(...(await measure(host, others, list)));
        }
        return rows;
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

interface Others {
  readonly open: () => NativePlane;
  readonly tools: () => Promise<string>;
}

/** Those that are there stay as they are. */
async function makeImages(plane: NativePlane, count: number): Promise<void> {
  for (let first = 0; first < count; first += AT_ONCE) {
    const images = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, at) => `image-${first + at}`);
    await Promise.all(images.map((image) => plane.createImage({ pool: 'rbd', image }, 1024 * MiB, soon())));
  }
}

const AT_ONCE = 50;

async function measure(
  host: SshHost,
  { open, tools }: Others,
  { images, rounds, limit }: (typeof LISTS)[number],
): Promise<readonly Row[]> {
  const counted = ({ length }: readonly unknown[]): void => {
    if (length !== images) throw new Error(`${length} images are listed`);
  };
  const times = { connect: [] as number[], pools: [] as number[], images: [] as number[] };
  const own = { login: [] as number[], pools: [] as number[], images: [] as number[], tools: [] as number[] };
  let commands = 0;
  let logins = 0;
  for (let round = 0; round < rounds; round += 1) {
    const said = host.log.length;
    times.pools.push(await step(host, times.connect, async (monitor) => void (await monitor.listPools(soon()))));
    const image = host.log.length;
    times.images.push(
      await step(host, times.connect, async (monitor) => {
        counted(await monitor.listImages('rbd', undefined, soon()));
      }),
    );
    own.login.push(await timed(() => by(open, async (plane) => void (await plane.clusterId(soon())))));
    own.pools.push(await timed(() => by(open, async (plane) => void (await plane.listPools(soon())))));
    own.images.push(
      await timed(() => by(open, async (plane) => counted(await plane.listImages('rbd', undefined, soon())))),
    );
    own.tools.push(await timed(async () => counted((await tools()).trim().split('\n').slice(1))));
    for (const log of [host.log.slice(said, image), host.log.slice(image)]) {
      commands = Math.max(commands, log.split('Starting session: command').length - 1);
      logins = Math.max(logins, log.split('Accepted password').length - 1);
    }
  }
  const atMost = (limit: number) => ({ of: 'value', bound: 'at most', limit }) as const;
  const isFirst = images === LISTS[0].images;
  const bySsh = { metric: `list ${images} images`, value: median(times.images), unit: 'ms' };
  const ofList = [
    isFirst ? { ...bySsh, aim: atMost(2000) } : bySsh,
    {
      metric: `by ourselves: login and list ${images} images`,
      value: median(own.images),
      unit: 'ms',
      reference: { name: 'rbd ls -l', value: median(own.tools) },
      second: { name: 'SSH', value: median(times.images) },
      aim: atMost(limit),
    },
  ];
  if (!isFirst) return ofList;
  return [
    { metric: 'SSH connection and login', value: median(times.connect), unit: 'ms' },
    { metric: 'list pools', value: median(times.pools), unit: 'ms', aim: atMost(2000) },
    { metric: 'by ourselves: login and one question', value: median(own.login), unit: 'ms', aim: atMost(30) },
    { metric: 'by ourselves: login and list pools', value: median(own.pools), unit: 'ms', aim: atMost(100) },
    ...ofList,
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

async function by(open: () => NativePlane, ask: (plane: NativePlane) => Promise<void>): Promise<void> {
  using plane = open();
  await ask(plane);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function soon(): Deadline {
  return Deadline.after(30_000);
}
