import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { hasCode, messageOf } from '../../../src/base/error.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import type { ControlPlane } from '../../../src/ceph/control/control-plane.ts';
import { openNativePlane } from '../../../src/ceph/control/native/native-plane.ts';
import { failureOf } from '../../support/expect-error.ts';
import { ClusterHere } from './cluster-here.ts';

// Three monitors and three OSDs, each of which dies, and freezes, while everything that a control plane does goes on.

const POOL = 'kept';
/** A new leader, or new places of a placement group, come to be within. */
const patiently = (): Deadline => Deadline.after(60_000);
/** What one monitor may cost, and time for the next to answer. */
const WITHOUT_ONE_MS = 2000 + 2500;

let here: ClusterHere;
let cluster: Cluster;
let key: string;
let made = 0;

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'three', monitors: 3, osds: 3 });
  ({ cluster } = here);
  // Seconds: what a leader that is gone costs is the cluster's affair.
  for (const patience of ['mon_lease', 'mon_election_timeout'])
    await cluster.tool('ceph', 'config', 'set', 'mon', patience, '2');
  await cluster.createPool(POOL, { copies: 3 });
  key = (await cluster.createUser('xen', [POOL])).key;
  here.enter();
});

afterAll(async () => {
  await here.end();
});

/** The first of `monitors` is asked first. */
async function as<T>(monitors: readonly string[], work: (plane: ControlPlane) => Promise<T>): Promise<T> {
  using plane = openNativePlane(clusterAccess({ monitors: monitors.join(','), user: 'xen', key: new Secret(key) }));
  return await work(plane);
}

/** Lists, makes, looks, grows, fences and proves it; each of it is done once. */
async function everything(plane: ControlPlane): Promise<void> {
  made += 1;
  const spec = { pool: POOL, image: `image-${made}` };
  const client = `10.99.1.${made}:0/${made}`;
  expect((await plane.listPools(patiently())).map(({ name }) => name)).toContain(POOL);
  expect((await plane.createImage(spec, MiB, patiently())).sizeBytes).toBe(MiB);
  expect((await plane.listImages(POOL, undefined, patiently())).map((image) => image.spec.image)).toContain(spec.image);
  expect(await plane.watchers(spec, patiently())).toEqual([]);
  expect((await plane.resizeImage(spec, 2 * MiB, patiently())).sizeBytes).toBe(2 * MiB);
  await plane.fence(client, 600, patiently());
  expect((await plane.proveFence({ pools: [POOL] }, [client], patiently())).silent).toEqual([]);
}

/** Meanwhile this daemon is dead, or stands still. */
async function without<T>(how: 'dead' | 'frozen', name: string, work: () => Promise<T>): Promise<T> {
  const { daemons } = cluster;
  await (how === 'dead' ? daemons.stop(name) : daemons.freeze(name));
  try {
    return await work();
  } finally {
    if (how === 'dead') await daemons.start(name);
    else daemons.thaw(name);
  }
}

const BOTH = ['dead', 'frozen'] as const;

describe.each([0, 1, 2])('monitor %i of three', (index) => {
  const name = (): string => cluster.monitorNames[index] ?? '';
  const itFirst = (): string[] => {
    const [victim = ''] = cluster.monitors.slice(index);
    return [victim, ...cluster.monitors.filter((other) => other !== victim)];
  };

  test.each(BOTH)('%s: who has asked it goes on, and who comes finds the next', (how) =>
    as(itFirst(), async (plane) => {
      await plane.listPools(patiently());
      await without(how, name(), async () => {
        const newcomer = () => as(itFirst(), (other) => other.clusterId(Deadline.after(WITHOUT_ONE_MS)));
        const fsid = await unlessTheyElect(newcomer);
        expect(fsid).toBe(cluster.fsid);
        await everything(plane);
      });
      await allServe();
    }),
  );
});

describe('monitors together', () => {
  test('a quorum that is lost in the middle of a command, and comes back', () =>
    as(cluster.monitors, async (plane) => {
      await plane.listPools(patiently());
      const listing = without('dead', 'mon.a', () =>
        without('dead', 'mon.b', async () => {
          await cluster.quorumIsLost(2);
          // One that has been in no quorum since it started lets nobody in.
          await cluster.stopMonitor(2);
          await cluster.startMonitor(2);
          const asked = plane.listPools(patiently());
          for (const port of [6789, 3300]) {
            const typed = cluster.monitors.map((monitor) => monitor.replace(':6789', `:${port}`));
            const naming = (): Promise<string> =>
              as(typed, (other) => other.listPools(Deadline.after(3000))).then(String, messageOf);
            await expect
              .poll(naming, { timeout: 15_000 })
              .toContain(`the monitors at ${typed[2]} greet, but serve nobody`);
          }
          return { asked };
        }),
      );
      expect((await (await listing).asked).map(({ name }) => name)).toContain(POOL);
      await allServe();
    }));

  test('one that lags from its first word, or once it has served, is left for another', async () => {
    const [first = '', ...others] = cluster.monitors;
    await using lagging = await slowPathTo(first);
    await as([lagging.address, ...others], async (plane) => {
      await plane.listPools(patiently());
      expect(lagging.used()).toBe(true);
      lagging.delayMs = 60_000;
      expect((await plane.listPools(Deadline.after(WITHOUT_ONE_MS))).length).toBeGreaterThan(0);
    });
    const asked = as([lagging.address, ...others], (plane) => plane.listPools(Deadline.after(WITHOUT_ONE_MS)));
    expect((await asked).map(({ name }) => name)).toContain(POOL);
  });
});

describe.each([0, 1, 2])('OSD %i of three', (osd) => {
  const name = `osd.${osd}`;
  const fromNow = (): string[] => [...cluster.monitors];

  test('frozen: named until the cluster knows; then what waits for it is done once, and the rest goes on', () =>
    as(fromNow(), async (plane) => {
      const image = await imageAt(osd);
      await plane.listImages(POOL, undefined, patiently());
      const client = `10.99.2.${osd}:0/1`;
      await without('frozen', name, async () => {
        const error = await failureOf('osd-unresponsive', () =>
          unlessTheyElect(() => plane.createImage({ pool: POOL, image }, MiB, Deadline.after(2500))),
        );
        expect(error.message).toContain(`${name} does not answer`);
        await plane.fence(client, 600, patiently());
        const proof = await unlessTheyElect(() => plane.proveFence({ pools: [POOL] }, [client], Deadline.after(2500)));
        expect(proof.silent).toEqual([osd]);
        const making = plane.createImage({ pool: POOL, image }, MiB, patiently());
        await isKnownToBeDown(osd);
        expect((await making).sizeBytes).toBe(MiB);
        expect((await plane.proveFence({ pools: [POOL] }, [client], patiently())).silent).toEqual([]);
        await everything(plane);
      });
      expect((await cluster.imageInfo(`${POOL}/${image}`)).size).toBe(MiB);
      await allUp();
    }));

  test('dead: everything goes on', () =>
    as(fromNow(), async (plane) => {
      await plane.listImages(POOL, undefined, patiently());
      await without('dead', name, async () => {
        await isKnownToBeDown(osd);
        await everything(plane);
      });
      await allUp();
    }));
});

/** Again while the monitors of a busy machine choose a leader, which takes all of a short deadline. */
async function unlessTheyElect<T>(work: () => Promise<T>): Promise<T> {
  for (const patience = patiently(); ; ) {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'quorum-lost') || patience.expired) throw error;
    }
  }
}

/** A name whose first object is served by this OSD. */
async function imageAt(osd: number): Promise<string> {
  for (let number = 0; ; number += 1) {
    const image = `at-${osd}-${number}`;
    const text = await cluster.tool('ceph', 'osd', 'map', POOL, `rbd_id.${image}`, '--format', 'json');
    if ((JSON.parse(text) as { acting_primary: number }).acting_primary === osd) return image;
  }
}

/** No other OSD waits for what it may still allow to be read. */
async function isKnownToBeDown(osd: number): Promise<void> {
  await cluster.tool('ceph', 'osd', 'down', String(osd), '--definitely-dead');
}

async function allUp(): Promise<void> {
  const up = async (): Promise<number> =>
    (JSON.parse(await cluster.tool('ceph', 'osd', 'stat', '--format', 'json')) as { num_up_osds: number }).num_up_osds;
  await expect.poll(up, { timeout: 60_000, interval: 300 }).toBe(3);
}

/** A quorum of all. */
async function allServe(): Promise<void> {
  const serving = async (): Promise<number> => {
    const text = await cluster.tool('ceph', 'quorum_status', '--format', 'json');
    return (JSON.parse(text) as { quorum: readonly number[] }).quorum.length;
  };
  await expect.poll(serving, { timeout: 60_000, interval: 300 }).toBe(3);
}

interface SlowPath extends AsyncDisposable {
  readonly address: string;
  /** Of what the monitor says. */
  delayMs: number;
  readonly used: () => boolean;
}

async function slowPathTo(monitor: string): Promise<SlowPath> {
  const [host = '', port = ''] = monitor.split(':');
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const there = connect(Number(port), host);
    for (const socket of [client, there]) sockets.add(socket.on('error', () => undefined));
    client.on('data', (data) => there.write(data)).on('close', () => there.destroy());
    there.on('data', (data) => later(() => client.write(data))).on('close', () => client.destroy());
  });
  const later = (say: () => void): void => {
    if (path.delayMs === 0) say();
    else setTimeout(say, path.delayMs).unref();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const path: SlowPath = {
    address: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    delayMs: 0,
    used: () => sockets.size > 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return path;
}
