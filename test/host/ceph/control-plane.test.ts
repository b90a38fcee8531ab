import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../../lab/cluster/cluster.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { controlPlaneOf } from '../../../src/ceph/control/tools/ceph-tools.ts';
import { surveyMonitors } from '../../../src/ceph/cluster/monitor-survey.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { failureOf } from '../../support/expect-error.ts';
import { enterNetwork } from './inside-network.ts';

const OTHER_KEY = 'AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==';
const HOSTILE = ['a b', '-x', '--help', 'q\'uo"te', 'ünï', 'tab\there', 'nl\nx', '$(touch pwned)', 'a,b', '\u001b[31m'];
const soon = (): Deadline => Deadline.after(30_000);

let run: RunFolder;
let cluster: Cluster;
let leave: () => void;
let monitors: string;
let userKey: string;
const runDir = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-run-'));

beforeAll(async () => {
  await sweepDeadRuns();
  run = RunFolder.create();
  cluster = await Cluster.start(run, { name: 'cephtools' });
  await cluster.createPool('other');
  await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
  const user = await cluster.createUser('xen', ['rbd']);
  userKey = user.key;
  monitors = cluster.monitors.join(',');
  leave = enterNetwork(cluster.network.name);
});

afterAll(async () => {
  leave();
  await cluster.destroy();
  await sweepRun(run.id);
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

describe('with profile rbd on one pool', () => {
  test('pools marked for rbd are listed, others are not', async () => {
    const names = (await restricted().listPools(soon())).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['rbd', 'other']));
    expect(names).not.toContain('unmarked');
  });

  test('the cluster says its fsid', async () => {
    expect(await restricted().clusterId(soon())).toBe(cluster.fsid);
  });

  test('an image is made once, with layering only, and grows', async () => {
    const plane = restricted();
    const spec = { pool: 'rbd', image: 'made' };
    const made = await plane.createImage(spec, 10 * MiB + 1, soon());
    expect(made).toEqual({ sizeBytes: 11 * MiB, features: 1, objectBytes: 4 * MiB });
    expect(await plane.createImage(spec, 99 * MiB, soon())).toEqual(made);
    expect((await plane.resizeImage(spec, 20 * MiB, soon())).sizeBytes).toBe(20 * MiB);
    expect((await plane.resizeImage(spec, 20 * MiB, soon())).sizeBytes).toBe(20 * MiB);
    await failureOf('invalid-argument', () => plane.resizeImage(spec, 10 * MiB, soon()));
    expect((await cluster.imageInfo('rbd/made')).size).toBe(20 * MiB);
  });

  test('names that a shell or an option parser would take for something else are data', async () => {
    const plane = restricted();
    for (const image of HOSTILE) await plane.createImage({ pool: 'rbd', image }, MiB, soon());
    const listed = await plane.listImages('rbd', undefined, soon());
    expect(listed.map(({ spec }) => spec.image)).toEqual(expect.arrayContaining(HOSTILE));
    expect(listed.find(({ spec }) => spec.image === 'nl\nx')?.displayName).toBe(String.raw`nl\x0ax`);
    for (const image of HOSTILE) expect((await plane.imageInfo({ pool: 'rbd', image }, soon())).sizeBytes).toBe(MiB);
  });

  test('a name the rbd tool would take apart is refused instead of acting on another image', async () => {
    await failureOf('control-plane-failed', () => restricted().imageInfo({ pool: 'rbd', image: 'other/x' }, soon()));
    await failureOf('control-plane-failed', () => restricted().createImage({ pool: 'rbd', image: 'x@y' }, MiB, soon()));
  });

  test('a namespace is a place of its own', async () => {
    await cluster.tool('rbd', 'namespace', 'create', 'rbd/ns1');
    const spec = { pool: 'rbd', namespace: 'ns1', image: 'inside' };
    await restricted().createImage(spec, MiB, soon());
    expect((await restricted().listImages('rbd', 'ns1', soon())).map((entry) => entry.spec)).toEqual([spec]);
    await failureOf('image-missing', () => restricted().imageInfo({ pool: 'rbd', image: 'inside' }, soon()));
  });

  test('who has an image open is seen', async () => {
    const plane = restricted();
    const spec = { pool: 'rbd', image: 'watched' };
    await plane.createImage(spec, MiB, soon());
    expect(await plane.watchers(spec, soon())).toEqual([]);
    const watcher = spawn('rbd', ['--conf', cluster.configPath, 'watch', 'rbd/watched'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    try {
      // `rbd watch` ends when its stdin does.
      const seen = await soon().until(async () => {
        const [found] = await plane.watchers(spec, soon());
        return found;
      }, 'the watcher to show');
      expect(seen.address).toMatch(/^[0-9.]+:[0-9]+\/[0-9]+$/);
      expect(seen.client).toBeGreaterThan(0);
    } finally {
      watcher.kill('SIGKILL');
    }
  });

  test('one client can be fenced; ending it takes an administrator', async () => {
    const client = '10.99.99.99:0/4711';
    await restricted().fence(client, 60, soon());
    expect(await cluster.tool('ceph', 'osd', 'blocklist', 'ls')).toContain(client);
    await failureOf('cluster-auth', () => restricted().unfence(client, soon()));
    await (await admin()).unfence(client, soon());
    expect(await cluster.tool('ceph', 'osd', 'blocklist', 'ls')).not.toContain(client);
  });

  test.each(['10.99.99.99', '10.99.99.99:0', '', '--help', '1/1 x'])('%j is no client to fence', async (address) => {
    await failureOf('invalid-argument', () => restricted().fence(address, 60, soon()));
  });
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

  test('a pool the user may not use', async () => {
    await failureOf('cluster-auth', () => restricted().listImages('other', undefined, soon()));
  });

  test('a pool, a namespace, an image that is not there', async () => {
    const pool = await failureOf('pool-missing', () => restricted().listImages('nopool', undefined, soon()));
    expect(pool.message).toContain('"nopool"');
    await failureOf('pool-missing', () => restricted().createImage({ pool: 'nopool', image: 'x' }, MiB, soon()));
    const namespace = await failureOf('pool-missing', () => restricted().listImages('rbd', 'nons', soon()));
    expect(namespace.message).toContain('"nons"');
    const image = await failureOf('image-missing', () =>
      restricted().imageInfo({ pool: 'rbd', image: 'nope' }, soon()),
    );
    expect(image.message).toContain('rbd/nope');
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
    cluster.freezeOsds();
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
