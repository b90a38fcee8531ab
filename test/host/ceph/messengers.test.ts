import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import type { MessengerVersions } from '../../../lab/cluster/layout.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { type Log, silentLog } from '../../../src/base/log.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import type { ControlPlane } from '../../../src/ceph/control/control-plane.ts';
import { openNativePlane } from '../../../src/ceph/control/native/native-plane.ts';
import { openUserPlane, type UserPlane, type UserPlaneOptions } from '../../../src/ceph/control/user-plane.ts';
import type { Messenger } from '../../../src/ceph/wire/connection.ts';
import { eitherMessenger } from '../../../src/ceph/wire/either-messenger.ts';
import { messengerV1 } from '../../../src/ceph/wire/v1/messenger-v1.ts';
import { messengerV2 } from '../../../src/ceph/wire/v2/messenger-v2.ts';
import { controlPlaneSuite } from '../../support/control-plane-suite.ts';
import { failureOf } from '../../support/expect-error.ts';
import { ClusterHere } from './cluster-here.ts';

const OTHER_KEY = 'AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==';
const ADDRESS = '10.66.0.1';
const soon = (): Deadline => Deadline.after(30_000);

let cluster: Cluster;
let userKey: string;
let runFolder: string;

/** The daemons of this cluster listen for these alone while the tests of one `describe` run. */
function onClusterWith(messengers: MessengerVersions): void {
  let here: ClusterHere;

  beforeAll(async () => {
    here = await ClusterHere.start({ name: `msgr-${messengers}`, messengers });
    ({ cluster } = here);
    runFolder = here.run.path;
    userKey = (await cluster.createUser('xen', ['rbd'])).key;
    here.enter();
  });

  afterAll(() => here.end());
}

/** While the tests of one `describe` run. */
function wantingSignatures(): void {
  beforeAll(() => signatures('true'));
  afterAll(() => signatures('false'));

  /** A monitor looks when it starts; an OSD is told. */
  async function signatures(value: 'true' | 'false'): Promise<void> {
    for (const setting of ['cephx_require_signatures', 'cephx_service_require_signatures']) {
      await cluster.tool('ceph', 'config', 'set', 'global', setting, value);
      for (const name of cluster.osdNames) await cluster.tool('ceph', 'tell', name, 'config', 'set', setting, value);
    }
    await cluster.stopMonitor(0);
    await cluster.startMonitor(0);
    await cluster.tool('ceph', 'mon', 'stat');
  }
}

interface Asking {
  /** As it was typed. */
  readonly monitors?: string;
  readonly messenger?: Messenger;
  readonly user?: string;
  readonly key?: string;
}

async function as<T>({ monitors = ADDRESS, messenger, user = 'xen', key = userKey }: Asking, work: Work<T>) {
  using plane = openNativePlane(clusterAccess({ monitors, user, key: new Secret(key) }), messenger);
  return await work(plane);
}

type Work<T> = (plane: ControlPlane) => Promise<T>;

/** A monitor answers a command, an OSD an operation. */
async function makeAndRead(asking: Asking, image: string): Promise<void> {
  await as(asking, async (plane) => {
    expect(await plane.clusterId(soon())).toBe(cluster.fsid);
    expect((await plane.createImage({ pool: 'rbd', image }, MiB, soon())).sizeBytes).toBe(MiB);
    expect(await plane.watchers({ pool: 'rbd', image }, soon())).toEqual([]);
  });
  expect((await cluster.imageInfo(`rbd/${image}`)).size).toBe(MiB);
}

const TYPED = [ADDRESS, `${ADDRESS}:6789`, `${ADDRESS}:3300`];

describe('a cluster with messenger v2 alone', () => {
  onClusterWith('v2');
  beforeAll(async () => {
    await cluster.createPool('other');
    await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
  });

  controlPlaneSuite({
    name: 'spoken by ourselves over messenger v2',
    cluster: () => cluster,
    with: (work) => as({}, work),
    may: { everyPool: false, unfence: false },
  });

  test.each(TYPED)('is found by %s', async (monitors) => {
    expect(await as({ monitors }, (plane) => plane.clusterId(soon()))).toBe(cluster.fsid);
  });

  test.each(['crc', 'secure'] as const)('mode %s', (mode) =>
    makeAndRead({ monitors: `${ADDRESS}:3300`, messenger: messengerV2([mode]) }, `mode-${mode}`),
  );

  test('messenger v1 finds nobody', async () => {
    const error = await failureOf('monitor-unreachable', () =>
      as({ messenger: messengerV1 }, (plane) => plane.clusterId(Deadline.after(4000))),
    );
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('a wrong key and an unknown user', async () => {
    const wrong = await failureOf('cluster-auth', () => as({ key: OTHER_KEY }, (plane) => plane.clusterId(soon())));
    expect(wrong.message).toContain('its key is another');
    expect(wrong.message).not.toContain(OTHER_KEY);
    const unknown = await failureOf('cluster-auth', () => as({ user: 'nobody' }, (plane) => plane.clusterId(soon())));
    expect(unknown.message).toContain('client.nobody');
  });

  test('a user without any capability for monitors, which is refused like these, is told of it', async () => {
    await cluster.tool('ceph', 'auth', 'get-or-create', 'client.nomon', 'osd', 'profile rbd pool=rbd');
    const asking = { user: 'nomon', key: await cluster.userKey('nomon') };
    const error = await failureOf('cluster-auth', () =>
      as(asking, (plane) => plane.listImages('rbd', undefined, soon())),
    );
    expect(error.message).toContain("mon 'profile rbd'");
  });

  test.each([
    ['crc', 'secure'],
    ['secure', 'crc'],
  ] as const)(
    'daemons that take mode %s alone are named to who takes %s alone, and else served',
    async (theirs, ours) => {
      const settings = ['ms_mon_service_mode', 'ms_service_mode'];
      for (const setting of settings) await cluster.tool('ceph', 'config', 'set', 'global', setting, theirs);
      try {
        await expect
          .poll(
            async () => {
              const monitors = `${ADDRESS}:3300`;
              const asked = as({ monitors, messenger: messengerV2([ours]) }, (plane) => plane.clusterId(soon()));
              return asked.catch((error: Error) => error.message);
            },
            { timeout: 10_000 },
          )
          .toContain('no mode of messenger v2 in common');
        await makeAndRead({}, `negotiated-${theirs}`);
      } finally {
        for (const setting of settings) await cluster.tool('ceph', 'config', 'rm', 'global', setting);
      }
    },
  );
});

describe('a cluster with messenger v1 alone', () => {
  onClusterWith('v1');

  describe('which wants every message of it signed', () => {
    wantingSignatures();

    async function opened<T>(work: (plane: UserPlane) => Promise<T>, where: Partial<UserPlaneOptions> = {}) {
      const access = clusterAccess({ monitors: ADDRESS, user: 'xen', key: new Secret(userKey) });
      using plane = await openUserPlane(access, { runDir: runFolder, log: silentLog, ...where }, soon());
      return await work(plane);
    }

    test('is asked by ceph tools, and the log says why', async () => {
      const said: string[] = [];
      const log: Log = { ...silentLog, info: (message) => said.push(message) };
      await opened(
        async (plane) => {
          expect(plane.by).toBe('ceph tools');
          expect(await plane.clusterId(soon())).toBe(cluster.fsid);
          expect((await plane.listPools(soon())).map(({ name }) => name)).toContain('rbd');
          expect(await plane.facts(soon())).toBeUndefined();
        },
        { log },
      );
      expect(said).toEqual([
        expect.stringMatching(/by ceph tools of this host: .*wants every message of messenger v1 signed/),
      ]);
    });

    test('is refused by name on a host without ceph tools', async () => {
      const error = await failureOf('cluster-incompatible', () => opened(async () => undefined, { searchPath: [] }));
      expect(error.message).toContain('cephx_require_signatures false');
    });
  });

  test.each(TYPED)('is found by %s, and serves', (monitors) =>
    makeAndRead({ monitors }, `typed-${TYPED.indexOf(monitors)}`),
  );

  test('messenger v2 finds nobody', async () => {
    const messenger = messengerV2();
    const asked = (monitors: string) => as({ monitors, messenger }, (plane) => plane.clusterId(Deadline.after(4000)));
    const none = await failureOf('monitor-unreachable', () => asked(`${ADDRESS}:3300`));
    expect(none.message).toContain('ECONNREFUSED');
    const other = await failureOf('quorum-lost', () => asked(`${ADDRESS}:6789`));
    expect(other.message).toContain('msgr v1');
  });
});

describe('a cluster with both messengers', () => {
  onClusterWith('both');

  describe('which wants every message of v1 signed', () => {
    wantingSignatures();

    test.each(TYPED)('is found by %s, and serves by v2', (monitors) =>
      makeAndRead({ monitors }, `unsigned-${TYPED.indexOf(monitors)}`),
    );

    test('its OSDs want it too, which is named to who speaks v1 alone', async () => {
      const messenger: Messenger = {
        toMonitor: (...call) => eitherMessenger.toMonitor(...call),
        toOsd: (...call) => messengerV1.toOsd(...call),
      };
      const image = { pool: 'rbd', image: 'unsigned-0' };
      const error = await failureOf('cluster-incompatible', () =>
        as({ messenger }, (plane) => plane.watchers(image, soon())),
      );
      expect(error.message).toContain('wants every message of messenger v1 signed');
    });

    test('a wrong key is told apart', async () => {
      await failureOf('cluster-auth', () => as({ key: OTHER_KEY }, (plane) => plane.clusterId(soon())));
    });
  });

  test.each(TYPED)('is found by %s, and serves', (monitors) =>
    makeAndRead({ monitors }, `typed-${TYPED.indexOf(monitors)}`),
  );

  test('each answers whoever insists on it', async () => {
    await makeAndRead({ messenger: messengerV1 }, 'by-v1');
    expect(
      await as({ monitors: `${ADDRESS}:3300`, messenger: messengerV2() }, (plane) => plane.clusterId(soon())),
    ).toBe(cluster.fsid);
  });
});
