import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { type Log, silentLog } from '../../../src/base/log.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { type ClusterAccess, clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { openUserPlane, type UserPlane } from '../../../src/ceph/control/user-plane.ts';
import { failureOf } from '../../support/expect-error.ts';
import { ClusterHere } from './cluster-here.ts';

// Who speaks to the cluster: this process, and ceph tools only where it cannot.

const soon = (): Deadline => Deadline.after(30_000);

let here: ClusterHere;
let cluster: Cluster;
let access: ClusterAccess;
let said: string[] = [];
const log: Log = { ...silentLog, info: (message) => said.push(message) };

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'user' });
  ({ cluster } = here);
  const { key } = await cluster.createUser('xen', ['rbd']);
  access = clusterAccess({ monitors: cluster.monitors.join(','), user: 'xen', key: new Secret(key) });
  here.enter();
});

afterAll(async () => {
  await here.end();
});

/** `without`: on a host that has no ceph tools. */
async function opened<T>(work: (plane: UserPlane) => Promise<T>, without?: 'tools', as = access): Promise<T> {
  said = [];
  const where = { runDir: here.run.path, log, ...(without === undefined ? {} : { searchPath: [] }) };
  using plane = await openUserPlane(as, where, soon());
  return await work(plane);
}

test('by itself, on a host without ceph tools, which is said once', async () => {
  await opened(async (plane) => {
    expect(plane.by).toBe('itself');
    expect(await plane.clusterId(soon())).toBe(cluster.fsid);
    const facts = await plane.facts(soon());
    expect(facts?.fsid).toBe(cluster.fsid);
    expect(facts?.monitors.map(({ v1 }) => `${v1?.host}:${v1?.port}`)).toEqual(cluster.monitors);
  }, 'tools');
  expect(said).toEqual(['the cluster is asked as client.xen, by RBDSR itself']);
});

test('what fails is no reason to ask ceph tools', async () => {
  const other = { ...access, key: sampleKey('aes') };
  await failureOf('cluster-auth', () => opened(async () => undefined, undefined, other));
  expect(said).toEqual([]);
});

describe('what is left to librbd', () => {
  const striped = { pool: 'rbd', image: 'striped' };
  const mapped = { pool: 'rbd', image: 'object-map' };

  beforeAll(async () => {
    const size = ['--size', '8M'];
    await cluster.tool('rbd', 'create', ...size, '--stripe-unit', '65536', '--stripe-count', '2', 'rbd/striped');
    const features = ['--image-feature', 'layering,exclusive-lock,object-map'];
    await cluster.tool('rbd', 'create', ...size, ...features, 'rbd/object-map');
  });

  test('is asked of ceph tools, and nothing else is', async () => {
    await opened(async (plane) => {
      expect(plane.by).toBe('itself');
      expect(await plane.allocated(striped, soon())).toEqual([]);
      expect((await plane.resizeImage(mapped, 12 * MiB, soon())).sizeBytes).toBe(12 * MiB);
    });
    expect((await cluster.imageInfo('rbd/object-map')).size).toBe(12 * MiB);
  });

  test('is refused by name where there are none', async () => {
    await opened(async (plane) => {
      const held = await failureOf('control-plane-failed', () => plane.allocated(striped, soon()));
      expect(held.message).toContain('a striped image');
      const grown = await failureOf('control-plane-failed', () => plane.resizeImage(mapped, 16 * MiB, soon()));
      expect(grown.message).toContain('object-map');
    }, 'tools');
    expect((await cluster.imageInfo('rbd/object-map')).size).toBe(12 * MiB);
  });
});
