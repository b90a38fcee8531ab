import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { controlPlaneOf } from '../../../src/ceph/control/tools/ceph-tools.ts';
import { surveyMonitors } from '../../../src/ceph/cluster/monitor-survey.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { controlPlaneAccounts } from '../../support/control-plane-accounts.ts';
import { controlPlaneSuite } from '../../support/control-plane-suite.ts';
import { failureOf } from '../../support/expect-error.ts';
import { ClusterHere } from './cluster-here.ts';

const OTHER_KEY = 'AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==';
const soon = (): Deadline => Deadline.after(30_000);

let here: ClusterHere;
let cluster: Cluster;
let monitors: string;
let userKey: string;
const runDir = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-run-'));

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'cephtools' });
  ({ cluster } = here);
  await cluster.createPool('other');
  await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
  const user = await cluster.createUser('xen', ['rbd']);
  userKey = user.key;
  monitors = cluster.monitors.join(',');
  here.enter();
});

afterAll(async () => {
  await here.end();
  rmSync(runDir, { recursive: true });
});

/** As the restricted user docs/operating.md recommends. */
function restricted(changes: { monitors?: string; user?: string; key?: string } = {}) {
  const { monitors: list = monitors, user = 'xen', key = userKey } = changes;
  return controlPlaneOf(clusterAccess({ monitors: list, user, key: new Secret(key) }), { runDir });
}

async function admin() {
  const key = new Secret(await cluster.userKey('admin'));
  return controlPlaneOf(clusterAccess({ monitors, key }), { runDir });
}

controlPlaneSuite({
  name: 'by the tools of this host, with profile rbd on one pool',
  cluster: () => cluster,
  with: (work) => work(restricted()),
  may: { everyPool: false, unfence: false },
});

let accounts = 0;
controlPlaneAccounts({
  name: 'by the tools of this host',
  cluster: () => cluster,
  seesWhoLacksMonitors: false,
  withUser: async (capabilities, work) => {
    accounts += 1;
    const user = `account-${accounts}`;
    await cluster.tool('ceph', 'auth', 'get-or-create', `client.${user}`, ...capabilities);
    return work(restricted({ user, key: await cluster.userKey(user) }));
  },
});

test('ending the fence of a client takes an administrator', async () => {
  const client = '10.99.99.98:0/4711';
  await restricted().fence(client, 60, soon());
  await failureOf('cluster-auth', () => restricted().unfence(client, soon()));
  await (await admin()).unfence(client, soon());
  expect(await cluster.tool('ceph', 'osd', 'blocklist', 'ls')).not.toContain(client);
});

test('a range of addresses that is fenced is listed, too', async () => {
  await cluster.tool('ceph', 'osd', 'blocklist', 'range', 'add', '10.98.0.0/16', '60');
  const listed = await restricted().fences(soon());
  expect(listed.map(({ client }) => client)).toEqual(expect.arrayContaining([expect.stringMatching(/^10\.98\.0\.0/)]));
});

describe('what fails is named', () => {
  test('a wrong key and an unknown user', async () => {
    const wrong = await failureOf('cluster-auth', () =>
      restricted({ key: OTHER_KEY }).listImages('rbd', undefined, soon()),
    );
    expect(wrong.message).toContain('client.xen');
    expect(wrong.message).not.toContain(OTHER_KEY);
    await failureOf('cluster-auth', () => restricted({ user: 'nobody' }).listPools(soon()));
  });

  test('a key of another type, which these programs cannot read and would print, is named and not shown', async () => {
    const key = sampleKey('aes256k').reveal();
    for (const ask of [
      () => restricted({ key }).listImages('rbd', undefined, soon()),
      () => restricted({ key }).listPools(soon()),
    ]) {
      const error = await failureOf('cluster-incompatible', ask);
      expect(error.message).toContain('is of type aes256k');
      expect(error.message).toContain('--key-type aes client.xen');
      expect(JSON.stringify([error.message, error.detail])).not.toContain(key.slice(0, 20));
    }
  });

  test('monitors that are not there', async () => {
    const plane = restricted({ monitors: '127.0.0.1:9' });
    const deadline = (): Deadline => Deadline.after(6000);
    const error = await failureOf('monitor-unreachable', () => plane.listImages('rbd', undefined, deadline()));
    expect(error.message).toContain('127.0.0.1:9');
    await failureOf('monitor-unreachable', () => plane.listPools(deadline()));
  });

  test('one living monitor among dead ones is enough', async () => {
    const plane = restricted({ monitors: `127.0.0.1:9, ${monitors}` });
    expect(await plane.clusterId(soon())).toBe(cluster.fsid);
  });

  test('OSDs that do not answer', async () => {
    await cluster.freezeOsds();
    try {
      const error = await failureOf('osd-unresponsive', () =>
        restricted().imageInfo({ pool: 'rbd', image: 'made' }, Deadline.after(8000)),
      );
      expect(error.message).toContain('rbd info');
    } finally {
      cluster.thawOsds();
    }
    expect((await restricted().imageInfo({ pool: 'rbd', image: 'made' }, soon())).sizeBytes).toBe(20 * MiB);
  });

  test('a host without the tools is told which and what works without', async () => {
    const access = clusterAccess({ monitors, user: 'xen', key: new Secret(userKey) });
    const error = await failureOf('control-plane-missing', () => controlPlaneOf(access, { searchPath: [runDir] }));
    expect(error.message).toContain('ceph-common');
  });
});

test('monitors say which protocol they speak', async () => {
  const [first] = parseMonitors(monitors);
  const list = parseMonitors(`${first?.host ?? ''}:6789 ${first?.host ?? ''}:3300 ${first?.host ?? ''}:1`);
  const answers = await surveyMonitors(list, soon());
  expect(answers.map(({ state }) => state)).toEqual(['msgr1', 'msgr2', 'unreachable']);
});

test('no key is left behind', () => {
  expect(readdirSync(runDir)).toEqual([]);
});
