import { spawn } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { stateOf } from '../../../lab/cluster/prepare-pool.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import type { ControlPlane, FenceProof, ImageLayout } from '../../../src/ceph/control/control-plane.ts';
import { openNativePlane } from '../../../src/ceph/control/native/native-plane.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { type ChildProgram, childProgram } from '../../support/lvhd-child.ts';
import type { Messenger } from '../../../src/ceph/wire/connection.ts';
import { messengerV1 } from '../../../src/ceph/wire/v1/messenger-v1.ts';
import { controlPlaneAccounts } from '../../support/control-plane-accounts.ts';
import { controlPlaneSuite } from '../../support/control-plane-suite.ts';
import { expectAllWalked, killsOf } from '../../support/every-step.ts';
import { failureOf } from '../../support/expect-error.ts';
import { ClusterHere } from './cluster-here.ts';

const OTHER_KEY = 'AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==';
const soon = (): Deadline => Deadline.after(30_000);

let here: ClusterHere;
let cluster: Cluster;
let monitors: string;
let child: ChildProgram;
const keys = new Map<string, string>();
let accounts = 0;

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'native', monitors: 3, osds: 2 });
  ({ cluster } = here);
  await cluster.createPool('other');
  await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
  keys.set('xen', (await cluster.createUser('xen', ['rbd'])).key);
  keys.set('wide', (await cluster.createUser('wide', ['rbd', 'other'])).key);
  keys.set('admin', await cluster.userKey('admin'));
  monitors = cluster.monitors.join(',');
  child = await childProgram(`${import.meta.dirname}/native-child.ts`);
  here.enter();
});

afterAll(async () => {
  child[Symbol.dispose]();
  await here.end();
});

interface Asking {
  readonly user?: string;
  readonly key?: string;
  readonly monitors?: string;
}

/** As the restricted user docs/operating.md recommends, unless said otherwise. */
async function as<T>(
  { user = 'xen', key, monitors: list = monitors }: Asking,
  work: (plane: ControlPlane) => Promise<T>,
) {
  const secret = new Secret(key ?? keys.get(user) ?? OTHER_KEY);
  using plane = openNativePlane(clusterAccess({ monitors: list, user, key: secret }));
  return await work(plane);
}

async function userWith(name: string, ...capabilities: readonly string[]): Promise<Asking> {
  await cluster.tool('ceph', 'auth', 'get-or-create', `client.${name}`, ...capabilities);
  return { user: name, key: await cluster.userKey(name) };
}

controlPlaneSuite({
  name: 'spoken by ourselves, with profile rbd on one pool',
  cluster: () => cluster,
  with: (work) => as({}, work),
  may: { everyPool: false, unfence: false },
});

controlPlaneAccounts({
  name: 'spoken by ourselves',
  cluster: () => cluster,
  seesWhoLacksMonitors: true,
  withUser: async (capabilities, work) => {
    accounts += 1;
    return as(await userWith(`account-${accounts}`, ...capabilities), work);
  },
});

describe('who may not, is told why', () => {
  const list = (asking: Asking) => as(asking, (plane) => plane.listImages('rbd', undefined, soon()));

  test('a wrong key and an unknown user, which the monitors do not tell apart', async () => {
    const wrong = await failureOf('cluster-auth', () => list({ key: OTHER_KEY }));
    expect(wrong.message).toContain('client.xen');
    expect(wrong.message).toContain('its key is another');
    expect(wrong.message).not.toContain(OTHER_KEY);
    const unknown = await failureOf('cluster-auth', () => list({ user: 'nobody' }));
    expect(unknown.message).toContain('client.nobody');
  });

  test('what the cluster tells apart are sentences of their own', async () => {
    const messages = await Promise.all([
      failureOf('cluster-auth', () => list({ key: OTHER_KEY })),
      userWith('nomon', 'osd', 'profile rbd pool=rbd').then((asking) => failureOf('cluster-auth', () => list(asking))),
      userWith('noread', 'mon', 'allow command "fsid"').then((asking) => failureOf('cluster-auth', () => list(asking))),
      userWith('noosd', 'mon', 'profile rbd').then((asking) => failureOf('cluster-auth', () => list(asking))),
      failureOf('cluster-incompatible', () => list({ key: sampleKey('aes256k').reveal() })),
    ]);
    const whats = messages.map(({ detail }) => detail.what.replaceAll(/client\.\w+/g, 'client.USER'));
    expect(new Set(whats).size).toBe(whats.length);
    for (const { detail } of messages) expect(detail.todo).toContain('`ceph auth ');
  });

  test('a user without any capability for monitors is told which one', async () => {
    const asking = await userWith('nomon', 'osd', 'profile rbd pool=rbd');
    const error = await failureOf('cluster-auth', () => list(asking));
    expect(error.message).toContain("mon 'profile rbd'");
  });

  test('a user without any capability for OSDs is told which one', async () => {
    const asking = await userWith('noosd', 'mon', 'profile rbd');
    const error = await failureOf('cluster-auth', () => list(asking));
    expect(error.message).toContain("osd 'profile rbd pool=rbd'");
  });

  test('a user of one namespace may list that one, and is told what another takes', async () => {
    await cluster.tool('rbd', 'namespace', 'create', 'rbd/own');
    const asking = await userWith('ofns', 'mon', 'profile rbd', 'osd', 'profile rbd pool=rbd namespace=own');
    expect(await as(asking, (plane) => plane.listImages('rbd', 'own', soon()))).toEqual([]);
    const made = await as(asking, (plane) =>
      plane.createImage({ pool: 'rbd', namespace: 'own', image: 'x' }, MiB, soon()),
    );
    expect(made.sizeBytes).toBe(MiB);
    const error = await failureOf('cluster-auth', () => list(asking));
    expect(error.message).toContain("osd 'profile rbd pool=rbd'");
  });

  test('a key of another type is refused before anybody is asked', async () => {
    const key = sampleKey('aes256k').reveal();
    const error = await failureOf('cluster-incompatible', () => list({ key, monitors: '127.0.0.1:9' }));
    expect(error.message).toContain('aes256k');
  });
});

describe('what answers is told apart', () => {
  const ask = (list: string, ms = 6000) =>
    failureOf('monitor-unreachable', () => as({ monitors: list }, (plane) => plane.listPools(Deadline.after(ms))));

  test('monitors that are not there', async () => {
    const error = await ask('127.0.0.1:9');
    expect(error.message).toContain('127.0.0.1:9 does not answer (ECONNREFUSED)');
  });

  test('what says nothing, as an iSCSI target does, and is told nothing either', async () => {
    const heard: Buffer[] = [];
    await using server = await listener((socket) => void socket.on('data', (data) => heard.push(data)));
    const error = await ask(`127.0.0.1:${server.port}`);
    expect(error.message).toContain('accepts connections but says nothing');
    expect(heard).toEqual([]);
  });

  test('what is no Ceph', async () => {
    await using server = await listener((socket) => void socket.write('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'));
    const error = await ask(`127.0.0.1:${server.port}`);
    expect(error.message).toContain('is not Ceph');
    expect(error.message).toContain('SSH-2.0');
  });

  test('a port where messenger v2 is spoken, to who speaks v1 alone', async () => {
    const v2 = monitors.replaceAll(':6789', ':3300');
    const access = clusterAccess({ monitors: v2, user: 'xen', key: new Secret(keys.get('xen') ?? '') });
    using plane = openNativePlane(access, messengerV1);
    const error = await failureOf('cluster-incompatible', () => plane.clusterId(soon()));
    expect(error.message).toContain('messenger v2 alone');
  });

  test.each([
    ['v1', 'ceph v027'],
    ['v2', 'ceph v2\n'],
  ])('what greets as messenger %s and goes no further, as a daemon that stands still', async (_version, greeting) => {
    await using server = await listener((socket) => void socket.write(greeting));
    const asked = as({ monitors: `127.0.0.1:${server.port}` }, (plane) => plane.listPools(Deadline.after(4000)));
    const error = await failureOf('quorum-lost', () => asked);
    expect(error.message).toContain(`127.0.0.1:${server.port} greet, but serve nobody`);
  });

  test('one living monitor among dead, silent and foreign ones is enough', async () => {
    await using silent = await listener(() => undefined);
    await using foreign = await listener((socket) => void socket.end('no\n'));
    const list = `127.0.0.1:9, 127.0.0.1:${silent.port}, 127.0.0.1:${foreign.port}, ${monitors}`;
    expect(await as({ monitors: list }, (plane) => plane.clusterId(soon()))).toBe(cluster.fsid);
  });
});

describe('what fails on the way', () => {
  const spec = { pool: 'rbd', image: 'made' };

  test('a monitor that freezes, before it is asked and after', async () => {
    await as({}, async (plane) => {
      await plane.listPools(soon());
      await cluster.daemons.freeze('mon.a');
      try {
        // It leads: those that are left may have to elect another first. What one that is silent costs by itself is
        // looked at in three-of-each.test.ts.
        expect((await plane.imageInfo(spec, soon())).sizeBytes).toBe(20 * MiB);
        expect(await as({}, (other) => other.clusterId(soon()))).toBe(cluster.fsid);
      } finally {
        cluster.daemons.thaw('mon.a');
      }
    });
  });

  test('OSDs that do not answer', async () => {
    await cluster.freezeOsds();
    try {
      const error = await failureOf('osd-unresponsive', () =>
        as({}, (plane) => plane.imageInfo(spec, Deadline.after(5000))),
      );
      expect(error.message).toContain('rbd_id.made');
      expect(error.message).toMatch(/osd\.[01] does not answer/);
    } finally {
      cluster.thawOsds();
    }
    expect((await as({}, (plane) => plane.imageInfo(spec, soon()))).sizeBytes).toBe(20 * MiB);
  });

  test('OSDs that are started anew in the middle: what has no answer is sent again, and done once', async () => {
    await as({}, async (plane) => {
      await plane.imageInfo(spec, soon());
      for (const name of cluster.osdNames) await cluster.daemons.stop(name);
      const making = plane.createImage({ pool: 'rbd', image: 'survivor' }, MiB, Deadline.after(90_000));
      // Each takes the first ports that are free: in this order they have each other's.
      for (const name of cluster.osdNames.toReversed()) {
        await cluster.daemons.start(name);
        await isUpAgain(name);
      }
      const made = await making.catch(async (cause: unknown) => {
        const logs = cluster.osdNames.map((name) =>
          readFileSync(join(cluster.layout.dir, 'log', `${name}.log`), 'utf8'),
        );
        throw new Error([await stateOf(cluster), ...logs.map((log) => log.slice(-4000))].join('\n'), { cause });
      });
      expect(made.sizeBytes).toBe(MiB);
    });
    expect((await cluster.imageInfo('rbd/survivor')).size).toBe(MiB);
  });

  async function isUpAgain(name: string): Promise<void> {
    const up = async () =>
      JSON.parse(await cluster.tool('ceph', 'tell', name, 'status', '--format', 'json')) as unknown;
    await expect.poll(() => up().catch(() => undefined), { timeout: 60_000 }).toMatchObject({ state: 'active' });
  }

  test('tickets and logins that are over after ten seconds are renewed', async () => {
    for (const life of ['auth_service_ticket_ttl', 'auth_mon_ticket_ttl']) {
      await cluster.tool('ceph', 'config', 'set', 'mon', life, '10');
    }
    try {
      await as({}, async (plane) => {
        await plane.listPools(soon());
        await pause(11_000);
        // No OSD was asked so far: what was given at the login has ended.
        expect((await plane.imageInfo(spec, soon())).sizeBytes).toBe(20 * MiB);
        await pause(11_000);
        expect((await plane.createImage({ pool: 'rbd', image: 'twice-over' }, MiB, soon())).sizeBytes).toBe(MiB);
      });
    } finally {
      for (const life of ['auth_service_ticket_ttl', 'auth_mon_ticket_ttl']) {
        await cluster.tool('ceph', 'config', 'rm', 'mon', life);
      }
    }
  });

  test.each([-2 * 86_400, 2 * 86_400, 10 * 365 * 86_400])(
    'a clock that is %i s away from that of the cluster does no harm',
    async (seconds) => {
      const name = `clock-${seconds}`;
      const shift = `const real = Date.now; Date.now = () => real() + ${seconds * 1000};`;
      const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(shift)}`;
      const ended = await child.run([monitors, 'xen', keys.get('xen') ?? '', name, '2'], { NODE_OPTIONS });
      expect(ended).toEqual({ code: 0, signal: null, output: '' });
      expect((await cluster.imageInfo(`rbd/${name}-1`)).size).toBe(3 * MiB);
    },
  );

  test('monitors without a quorum are named', async () => {
    await cluster.stopMonitor(1);
    await cluster.stopMonitor(2);
    try {
      await cluster.quorumIsLost(0);
      const error = await failureOf('quorum-lost', () => as({}, (plane) => plane.clusterId(Deadline.after(5000))));
      expect(error.message).toContain(cluster.monitors[0]);
    } finally {
      await cluster.startMonitor(1);
      await cluster.startMonitor(2);
    }
    expect(await as({}, (plane) => plane.clusterId(soon()))).toBe(cluster.fsid);
  });
});

describe('nothing is done twice, and nothing is left undone', () => {
  test('processes whose operations have equal numbers never look like one', async () => {
    const argv = (name: string) => [monitors, 'xen', keys.get('xen') ?? '', name, '5'];
    const ends = await Promise.all(['p', 'q', 'r', 's'].map((name) => child.run(argv(name))));
    expect(ends.map(({ code, output }) => ({ code, output }))).toEqual(ends.map(() => ({ code: 0, output: '' })));
    const listed = (await as({}, (plane) => plane.listImages('rbd', undefined, soon()))).map(({ spec }) => spec.image);
    const wanted = ['p', 'q', 'r', 's'].flatMap((name) => [0, 1, 2, 3, 4].map((number) => `${name}-${number}`));
    expect(listed).toEqual(expect.arrayContaining(wanted));
  });

  test('many create the same image at once, and it is one', async () => {
    const same = { pool: 'rbd', image: 'contested' };
    const made = await Promise.all([1, 2, 3, 4].map(() => as({}, (plane) => plane.createImage(same, MiB, soon()))));
    expect(new Set(made.map(({ sizeBytes }) => sizeBytes))).toEqual(new Set([MiB]));
    expect((await cluster.imageInfo('rbd/contested')).size).toBe(MiB);
  });

  interface Changing {
    readonly word: 'create' | 'grow';
    readonly layout: ImageLayout;
    readonly without?: readonly string[];
  }
  const walks: Readonly<Record<string, readonly Changing[]>> = {
    'making an image': [
      { word: 'create', layout: {} },
      { word: 'create', layout: { dataPool: 'other', objectBytes: MiB } },
    ],
    'growing an image': [{ word: 'grow', layout: {} }],
  };
  const walking = {
    walks,
    menders: {
      again: async (name: string, { word, layout }: Changing) => {
        const spec = { pool: 'rbd', image: name };
        return as({ user: 'wide' }, (plane) =>
          word === 'grow' ? plane.resizeImage(spec, 3 * MiB, soon()) : plane.createImage(spec, 3 * MiB, soon(), layout),
        );
      },
    },
    looks: {
      listed: async (name: string) => expect(await objectsOf(name)).toEqual([]),
      named: async (name: string) => expect(await objectsOf(name)).toEqual([`rbd_id.${name}`]),
      'grown-unsaid': async (name: string) => expect((await cluster.imageInfo(`rbd/${name}`)).size).toBe(3 * MiB),
    },
  };

  test('every step is walked', () => {
    expectAllWalked('test/host/ceph/native-plane.test.ts', walking);
  });

  test.each(killsOf('test/host/ceph/native-plane.test.ts', walking.walks))(
    '%s, killed at %s, then %s',
    async (_title, point, mender, index, state, changing) => {
      const { word, layout } = changing;
      const name = `killed-${state}-${index}`;
      const rest = layout.dataPool === undefined ? [] : [layout.dataPool];
      const argv = [monitors, 'wide', keys.get('wide') ?? '', name, '1', word, ...rest];
      if (word === 'grow') await cluster.createImage(`rbd/${name}`, { sizeMiB: 2 });
      await using watching = word === 'grow' ? await watchOf(name) : undefined;
      const { signal } = await child.run(argv, { RBDSR_FAULT: point });
      expect(signal).toBe('SIGKILL');
      expect(await cluster.tool('rbd', 'ls', 'rbd')).toContain(name);
      await walking.looks[state as keyof typeof walking.looks](name);
      expect(watching?.told() ?? 0).toBe(0);
      const made = await walking.menders[mender as 'again'](name, changing);
      if (watching !== undefined) expect(watching.told()).toBe(1);
      expect(made).toEqual({ sizeBytes: 3 * MiB, format: 2, features: 1, objectBytes: 4 * MiB, ...wanted(layout) });
      expect((await cluster.imageInfo(`rbd/${name}`)).size).toBe(3 * MiB);
      const bench = ['--io-type', 'write', '--io-size', '4K', '--io-total', '4K', `rbd/${name}`];
      await cluster.tool('rbd', 'bench', ...bench);
      await watching?.[Symbol.asyncDispose]();
      await cluster.removeImage(`rbd/${name}`);
    },
  );

  const wanted = (layout: ImageLayout) => (layout.dataPool === undefined ? {} : { ...layout, features: 0x81 });

  /** `rbd watch` prints a line for each notification, after it has answered. */
  async function watchOf(name: string): Promise<AsyncDisposable & { readonly told: () => number }> {
    const argv = ['-c', cluster.configPath, 'watch', `rbd/${name}`];
    const watcher = spawn('rbd', argv, { stdio: ['pipe', 'pipe', 'ignore'] });
    let said = '';
    watcher.stdout.on('data', (data) => (said += String(data)));
    const ended = new Promise((resolve) => watcher.once('exit', resolve));
    const spec = { pool: 'rbd', image: name };
    await soon().until(
      async () => (await as({}, (plane) => plane.watchers(spec, soon()))).length > 0 || undefined,
      'the watcher',
    );
    return {
      told: () => said.split('\n').filter((line) => line.includes('received notification')).length,
      [Symbol.asyncDispose]: async () => {
        watcher.stdin.end('\n');
        await ended;
      },
    };
  }

  /** Those that have its name, and its header. */
  async function objectsOf(name: string): Promise<readonly string[]> {
    const all = (await cluster.tool('rados', '-p', 'rbd', 'ls')).split('\n');
    const headers = all.filter((object) => object.startsWith('rbd_header.')).length;
    const ids = all.filter((object) => object.startsWith('rbd_id.')).length;
    const mine = all.filter((object) => object === `rbd_id.${name}`);
    // Each image that is whole has both.
    expect(ids - mine.length).toBeGreaterThanOrEqual(headers);
    return mine;
  }

  test('a create that is refused in the middle takes its name back', async () => {
    const name = 'refused';
    await cluster.tool('rados', '-p', 'rbd', 'create', `rbd_id.${name}`);
    await failureOf('control-plane-failed', () =>
      as({}, (plane) => plane.createImage({ pool: 'rbd', image: name }, MiB, soon())),
    );
    await cluster.tool('rados', '-p', 'rbd', 'rm', `rbd_id.${name}`);
    expect(await cluster.tool('rbd', 'ls', 'rbd')).not.toContain(name);
  });

  test('data that have lost their header are not shown by a new one', async () => {
    await cluster.createImage('rbd/headless', { sizeMiB: 8 });
    await cluster.tool('rbd', 'bench', '--io-type', 'write', '--io-size', '4K', '--io-total', '4K', 'rbd/headless');
    const { id } = await cluster.imageInfo('rbd/headless');
    await cluster.tool('rados', '-p', 'rbd', 'rm', `rbd_header.${id}`);
    const error = await failureOf('control-plane-failed', () =>
      as({}, (plane) => plane.createImage({ pool: 'rbd', image: 'headless' }, MiB, soon())),
    );
    expect(error.message).toContain(`rbd_header.${id}`);
  });
});

describe('a fence is proven', () => {
  const reach = { pools: ['rbd'] };

  /** Of a client that need not be there. */
  async function fenced(client: string, ms = 30_000): Promise<FenceProof> {
    return as({}, async (plane) => {
      await plane.fence(client, 600, soon());
      return plane.proveFence(reach, [client], Deadline.after(ms));
    });
  }

  test('by an answer of every OSD that serves the pool, by the map that has it', async () => {
    const { epoch, answered, silent, unserved } = await fenced('10.99.99.96:0/1');
    expect({ answered, silent, unserved }).toEqual({ answered: [0, 1], silent: [], unserved: 0 });
    const before = JSON.parse(await cluster.tool('ceph', 'osd', 'dump', String(epoch), '--format', 'json')) as {
      blocklist: Record<string, string>;
    };
    expect(Object.keys(before.blocklist)).toContain('10.99.99.96:0/1');
  });

  test('not while an OSD that is up says nothing, which is named', async () => {
    await cluster.daemons.freeze('osd.1');
    try {
      const { answered, silent } = await fenced('10.99.99.95:0/1', 6000);
      expect({ answered, silent }).toEqual({ answered: [0], silent: [1] });
    } finally {
      cluster.daemons.thaw('osd.1');
    }
    expect((await fenced('10.99.99.95:0/1')).silent).toEqual([]);
  });

  test('not of a client that nobody has fenced', async () => {
    await failureOf('deadline', () =>
      as({}, (plane) => plane.proveFence(reach, ['10.99.99.94:0/1'], Deadline.after(2000))),
    );
  });

  test('of more than one pool, each of which the user has to be let at', async () => {
    const apart = { pools: ['rbd', 'other'] };
    const client = '10.99.99.93:0/1';
    await as({}, (plane) => plane.fence(client, 600, soon()));
    const both = await as({ user: 'admin' }, (plane) => plane.proveFence(apart, [client], soon()));
    expect(both.silent).toEqual([]);
    const error = await failureOf('cluster-auth', () => as({}, (plane) => plane.proveFence(apart, [client], soon())));
    expect(error.message).toContain("osd 'profile rbd pool=other'");
  });
});

describe('images of every kind', () => {
  test('of format 1, which are not grown and whose parts are not told', async () => {
    await cluster.createOldImage('rbd/old', { sizeMiB: 12 });
    await as({}, async (plane) => {
      const error = await failureOf('control-plane-failed', () =>
        plane.resizeImage({ pool: 'rbd', image: 'old' }, 20 * MiB, soon()),
      );
      expect(error.message).toContain('format 1');
      await failureOf('control-plane-failed', () => plane.allocated({ pool: 'rbd', image: 'old' }, soon()));
    });
  });

  test('with their data in another pool, other features and other objects', async () => {
    const rest = ['--data-pool', 'other', '--object-size', '1M', '--image-feature', 'layering,exclusive-lock'];
    await cluster.tool('rbd', 'create', '--size', '16M', ...rest, 'rbd/elsewhere');
    const info = await as({}, (plane) => plane.imageInfo({ pool: 'rbd', image: 'elsewhere' }, soon()));
    expect(info).toMatchObject({ features: 0x85, dataPool: 'other' });
    const error = await failureOf('control-plane-failed', () =>
      as({}, (plane) => plane.resizeImage({ pool: 'rbd', image: 'elsewhere' }, 20 * MiB, soon())),
    );
    expect(error.message).toContain('found exclusive-lock. On a machine with ceph tools: `rbd resize');
    expect((await cluster.imageInfo('rbd/elsewhere')).size).toBe(16 * MiB);
    const held = await failureOf('cluster-auth', () =>
      as({}, (plane) => plane.allocated({ pool: 'rbd', image: 'elsewhere' }, soon())),
    );
    expect(held.message).toContain("osd 'profile rbd pool=other'");
  });

  test('clones, whose parent holds what they do not', async () => {
    await cluster.createImage('rbd/parent', { sizeMiB: 8 });
    for (const call of ['create', 'protect']) await cluster.tool('rbd', 'snap', call, 'rbd/parent@s');
    await cluster.tool('rbd', 'clone', '--image-feature', 'layering', 'rbd/parent@s', 'rbd/clone');
    const error = await failureOf('control-plane-failed', () =>
      as({}, (plane) => plane.allocated({ pool: 'rbd', image: 'clone' }, soon())),
    );
    expect(error.message).toContain('a clone of another image');
  });

  test('more than one page of them, by one connection to a monitor and one to each OSD, as the tools list them', async () => {
    const names = Array.from({ length: 1100 }, (_, number) => `many ${number}: ünï, "$(id)"\n`);
    const access = clusterAccess({ monitors, key: new Secret(keys.get('admin') ?? '') });
    const opened: string[] = [];
    const counting: Messenger = {
      toMonitor: (peer, ...rest) => {
        opened.push('monitor');
        return messengerV1.toMonitor(peer, ...rest);
      },
      toOsd: (peer, ...rest) => {
        opened.push(`osd at ${peer.port}`);
        return messengerV1.toOsd(peer, ...rest);
      },
    };
    {
      using plane = openNativePlane(access);
      for (let first = 0; first < names.length; first += 50) {
        const some = names.slice(first, first + 50);
        await Promise.all(some.map((image) => plane.createImage({ pool: 'other', image }, MiB, soon())));
      }
    }
    using plane = openNativePlane(access, counting);
    const listed = (await plane.listImages('other', undefined, soon())).map(({ spec }) => spec.image);
    const known = JSON.parse(await cluster.tool('rbd', 'ls', '--format', 'json', 'other')) as string[];
    expect(listed.toSorted()).toEqual(known.toSorted());
    expect(listed.length).toBeGreaterThanOrEqual(names.length);
    // A second monitor is tried where the first takes its time.
    const osds = opened.filter((peer) => peer !== 'monitor');
    expect(osds.toSorted()).toEqual([...new Set(osds)].toSorted());
    expect(osds).toHaveLength(cluster.osdNames.length);
    const before = opened.length;
    await plane.listImages('other', undefined, soon());
    expect(opened).toHaveLength(before);
  });
});

interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** On this machine's own address in the cluster's network. */
async function listener(greet: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
