import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../lab/cluster/cluster.ts';
import { Deadline } from '../../src/base/deadline.ts';
import { MiB } from '../../src/base/units.ts';
import type { ControlPlane } from '../../src/ceph/control/control-plane.ts';
import type { ErrorCode } from '../../src/base/error.ts';
import { failureOf } from './expect-error.ts';

/** What a user may do: alternating kind and capability, as `ceph auth` takes them. */
export type Capabilities = readonly string[];

/** One form of the control plane, on a cluster that runs, as a user that may do so much and no more. */
export interface FormWithAccounts {
  readonly name: string;
  readonly cluster: () => Cluster;
  readonly withUser: <T>(capabilities: Capabilities, work: (plane: ControlPlane) => Promise<T>) => Promise<T>;
  /** Ceph says to it whether a user may not log in, or has no capability for monitors. */
  readonly seesWhoLacksMonitors: boolean;
}

type Calls = typeof CALLS;
/** What comes of each call: what it answers, or how it is refused. */
type Outcome = 'done' | Refusal;

interface Refusal {
  readonly code: ErrorCode;
  readonly says: readonly string[];
}

const soon = (): Deadline => Deadline.after(20_000);
const NAMESPACE = 'fenced-off';
const inside = { pool: 'rbd', namespace: NAMESPACE, image: 'theirs' };
const outside = { pool: 'rbd', image: 'ours' };

const CALLS = {
  'list the pools': (plane: ControlPlane) => plane.listPools(soon()),
  'tell the space of a pool': (plane: ControlPlane) => plane.poolSpace('rbd', soon()),
  'list the namespaces': (plane: ControlPlane) => plane.listNamespaces('rbd', soon()),
  'list the images': (plane: ControlPlane) => plane.listImages('rbd', undefined, soon()),
  'list the images of the namespace': (plane: ControlPlane) => plane.listImages('rbd', NAMESPACE, soon()),
  'list the images of another pool': (plane: ControlPlane) => plane.listImages('other', undefined, soon()),
  'tell of an image': (plane: ControlPlane) => plane.imageInfo(outside, soon()),
  'tell of an image in the namespace': (plane: ControlPlane) => plane.imageInfo(inside, soon()),
  'tell who watches': (plane: ControlPlane) => plane.watchers(outside, soon()),
  'make an image': (plane: ControlPlane) => plane.createImage({ pool: 'rbd', image: 'new' }, MiB, soon()),
  'make one in the namespace': (plane: ControlPlane) => plane.createImage({ ...inside, image: 'new' }, MiB, soon()),
  'make one with data in another pool': async (plane: ControlPlane) => {
    const made = await plane.createImage({ pool: 'rbd', image: 'apart' }, MiB, soon(), { dataPool: 'other' });
    expect(made).toMatchObject({ dataPool: 'other', features: 0x81 });
  },
  'grow an image': (plane: ControlPlane) => plane.resizeImage(outside, 9 * MiB, soon()),
  'fence a client': (plane: ControlPlane) => plane.fence('10.99.99.97:0/4711', 60, soon()),
} as const;

const mayNot = (place: string, besides = ''): Refusal => ({
  code: 'cluster-auth',
  says: [`expected the capability osd 'profile rbd ${place}'`, `osd '${besides}profile rbd ${place}'\``],
});
const rbd = mayNot('pool=rbd');
const other = mayNot('pool=other');
const apart = mayNot('pool=other', 'profile rbd pool=rbd, ');
const namespace = mayNot(`pool=rbd namespace=${NAMESPACE}`);
const all = (outcome: Outcome): Record<keyof Calls, Outcome> =>
  Object.fromEntries(Object.keys(CALLS).map((call) => [call, outcome])) as Record<keyof Calls, Outcome>;
const noMonitors = (place: string): Refusal => ({
  code: 'cluster-auth',
  says: ["the capability mon 'profile rbd'", `mon 'profile rbd' osd 'profile rbd ${place}'\``],
});

/** The users that a security team hands out, and those it has got wrong. */
const ACCOUNTS: Readonly<Record<string, { capabilities: Capabilities; may: Partial<Record<keyof Calls, Outcome>> }>> = {
  'profile rbd on one pool': {
    capabilities: ['mon', 'profile rbd', 'osd', 'profile rbd pool=rbd'],
    may: {
      ...all('done'),
      'list the images of another pool': other,
      'make one with data in another pool': apart,
    },
  },
  'profile rbd on one pool, and on the pool of its data': {
    capabilities: ['mon', 'profile rbd', 'osd', 'profile rbd pool=rbd, profile rbd pool=other'],
    may: all('done'),
  },
  'profile rbd, for the manager too': {
    capabilities: ['mon', 'profile rbd', 'mgr', 'profile rbd pool=rbd', 'osd', 'profile rbd pool=rbd'],
    may: {
      ...all('done'),
      'list the images of another pool': other,
      'make one with data in another pool': apart,
    },
  },
  'a single namespace, whose name has to be known': {
    capabilities: ['mon', 'profile rbd', 'osd', `profile rbd pool=rbd namespace=${NAMESPACE}`],
    may: {
      ...all('done'),
      'list the namespaces': { ...rbd, says: [...rbd.says, 'has to be told its name'] },
      'list the images': { ...rbd, says: [...rbd.says, 'A user of one namespace alone has to name it'] },
      'list the images of another pool': other,
      'tell of an image': rbd,
      'tell who watches': rbd,
      'make an image': rbd,
      'make one with data in another pool': { code: 'cluster-auth', says: [] },
      'grow an image': rbd,
    },
  },
  'looking only': {
    capabilities: ['mon', 'profile rbd-read-only', 'osd', 'profile rbd-read-only pool=rbd'],
    may: {
      ...all('done'),
      'list the images of another pool': other,
      'make an image': rbd,
      'make one in the namespace': namespace,
      'make one with data in another pool': apart,
      'grow an image': rbd,
    },
  },
  'nothing for OSDs': {
    capabilities: ['mon', 'profile rbd'],
    may: {
      ...all(rbd),
      'list the pools': 'done',
      'tell the space of a pool': 'done',
      'list the images of the namespace': namespace,
      'list the images of another pool': other,
      'tell of an image in the namespace': namespace,
      'make one in the namespace': namespace,
      'make one with data in another pool': { code: 'cluster-auth', says: [] },
      'fence a client': 'done',
    },
  },
  'no read for monitors': {
    capabilities: ['mon', 'allow command "fsid"', 'osd', 'profile rbd pool=rbd'],
    // The tools wait for the map of OSDs in vain before they say so: a few calls are enough.
    may: {
      'list the pools': noMonitors('pool=POOL'),
      'tell the space of a pool': noMonitors('pool=rbd'),
      'list the images': noMonitors('pool=rbd'),
      'list the images of the namespace': noMonitors(`pool=rbd namespace=${NAMESPACE}`),
      'fence a client': noMonitors('pool=POOL'),
    },
  },
};

/**
 * What a user may not do is refused by the same name in every form, and nothing is left of what was refused. The
 * cluster has pools `rbd` and `other`.
 */
export function controlPlaneAccounts({ name, cluster, withUser, seesWhoLacksMonitors }: FormWithAccounts): void {
  describe(`who may do what, ${name}`, () => {
    test.each(Object.entries(ACCOUNTS))('%s', async (_title, { capabilities, may }) => {
      await prepare(cluster());
      await withUser(capabilities, async (plane) => {
        for (const [call, ask] of Object.entries(CALLS)) {
          const expected = may[call as keyof Calls];
          if (expected === 'done') await ask(plane);
          if (expected === undefined || expected === 'done') continue;
          const error = await failureOf(expected.code, () => ask(plane));
          for (const says of expected.says) expect(error.message, call).toContain(says);
        }
      });
      const made = await names(cluster());
      expect(made.includes('new')).toBe(may['make an image'] === 'done');
      expect(made.includes('apart')).toBe(may['make one with data in another pool'] === 'done');
    });

    test('a user without any capability for monitors is told of it, and which line gives it', async () => {
      await withUser(['osd', 'profile rbd pool=rbd'], async (plane) => {
        const error = await failureOf('cluster-auth', () => plane.listImages('rbd', undefined, soon()));
        expect(error.message).toContain("the capability mon 'profile rbd'");
        expect(error.message).toContain("mon 'profile rbd' osd 'profile rbd pool=rbd'`");
        expect(error.message.includes('its key is another')).toBe(!seesWhoLacksMonitors);
      });
    });
  });
}

async function prepare(cluster: Cluster): Promise<void> {
  await cluster.tryTool('rbd', 'namespace', 'create', `rbd/${NAMESPACE}`);
  const place = `rbd/${NAMESPACE}/`;
  for (const image of ['rbd/new', `${place}new`, 'rbd/apart', 'rbd/ours', `${place}theirs`]) {
    await cluster.tryTool('rbd', 'rm', '--no-progress', image);
  }
  for (const image of ['rbd/ours', `${place}theirs`]) await cluster.createImage(image, { sizeMiB: 8 });
}

async function names(cluster: Cluster): Promise<readonly string[]> {
  return (await cluster.tool('rbd', 'ls', 'rbd')).split('\n');
}
