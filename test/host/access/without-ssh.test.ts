import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import { check } from '../../../lab/machine/program.ts';
import { type DivertedSr, PASSWORD, PoolWithCluster } from './pool-with-cluster.ts';

// An SR that was made by a sudoer's login has a cephx user of its own. What the operator's commands do by that alone,
// and which of them say that they cannot, with sshd ended on the one monitor.

let pool: PoolWithCluster;

beforeAll(async () => {
  pool = await PoolWithCluster.make('without-ssh');
  await pool.ssh.stop();
});

afterAll(() => pool?.[Symbol.asyncDispose]());

const log = (): string => readFileSync(join(pool.root, 'var/log/SMlog'), 'utf8');

test('no SSH server runs at the monitor', async () => {
  expect(await check(pool.cluster.network.inside(['ss', '-Hltn', 'sport = :22']))).toBe('');
});

describe('remonitor', () => {
  test("finds all monitors as the SR's own user, one of whose addresses is dead", async () => {
    const [monitor = ''] = pool.cluster.monitors;
    const sr = await pool.diverted({ rbd_monitors: `10.66.0.250:6789,${monitor}` });
    const { code, said } = await pool.rbdsr(['remonitor', sr.uuid]);
    expect(code, said).toBe(0);
    expect(sr.kept()['rbd_monitors']).toBe(monitor);
    expect(await pool.pluggableBy(sr)).toBe(`rbdsr-${sr.uuid}`);
    expect(log()).toContain(`the cluster is asked as client.rbdsr-${sr.uuid}, by RBDSR itself`);
  });

  test('finds them for SR type rbd, too', async () => {
    const { key } = await pool.cluster.createUser('typed', ['rbd']);
    const sr = pool.xapi.db.create('SR', { type: 'rbd', sm_config: { rbd_fsid: pool.cluster.fsid } });
    const config = {
      monitors: `10.66.0.250,${pool.ssh.address}`,
      pool: 'rbd',
      image: 'a',
      user: 'typed',
      password_secret: pool.secret(key),
    };
    const pbd = pool.xapi.db.create('PBD', { SR: sr.ref, host: pool.xapi.master.ref, device_config: config });
    const { code, said } = await pool.rbdsr(['remonitor', stringOf(sr, 'uuid')]);
    expect(code, said).toBe(0);
    expect(mapOf(pbd, 'device_config')).toEqual({ ...config, monitors: pool.cluster.monitors.join(',') });
  });

  test('says of given addresses that they are of the cluster, without a word of doubt', async () => {
    const sr = await pool.diverted();
    const { code, said } = await pool.rbdsr(['remonitor', sr.uuid, pool.ssh.address]);
    expect(code, said).toBe(0);
    expect(said).not.toContain('could not be asked');
  });

  test('refuses those of another cluster', async () => {
    const sr = await pool.diverted({ rbd_fsid: '0f0e0d0c-0b0a-4908-8706-050403020100' });
    const before = sr.kept();
    for (const addresses of [[], [pool.ssh.address]]) {
      const { code, said } = await pool.rbdsr(['remonitor', sr.uuid, ...addresses]);
      expect(code).toBe(1);
      expect(said).toContain('another cluster');
    }
    expect(sr.kept()).toEqual(before);
  });

  test('with every known monitor gone says what does not answer over SSH; of SR type rbd, which monitors', async () => {
    const kept = { rbd_monitors: '10.66.0.250:6789' };
    const dead = await pool.diverted(kept, { target: '10.66.0.251' });
    expect((await pool.rbdsr(['remonitor', dead.uuid])).said).toMatch(/10\.66\.0\.251:22.*monitor-unreachable/s);
    // The one that was typed lives.
    const alive = await pool.diverted(kept);
    expect(await pool.rbdsr(['remonitor', alive.uuid])).toMatchObject({ code: 0 });
    expect(alive.kept()['rbd_monitors']).toBe(pool.cluster.monitors.join(','));
    const sr = pool.xapi.db.create('SR', { type: 'rbd', sm_config: {} });
    const config = { monitors: '10.66.0.250', pool: 'rbd', image: 'a', password_secret: pool.secret(SOME_KEY) };
    pool.xapi.db.create('PBD', { SR: sr.ref, host: pool.xapi.master.ref, device_config: config });
    const { code, said } = await pool.rbdsr(['remonitor', stringOf(sr, 'uuid')]);
    expect(code).toBe(1);
    expect(said).toContain('10.66.0.250');
  });
});

test('rekey tries a key that was given, and refuses one that opens nothing', async () => {
  const sr = await pool.diverted();
  const { key } = await pool.cluster.createUser('given', ['rbd']);
  const before = sr.kept();
  const refused = await pool.rbdsr(['rekey', sr.uuid, '--user', 'given', '--key-stdin'], SOME_KEY);
  expect(refused.code).toBe(1);
  expect(refused.said).toContain('cluster-auth');
  expect(sr.kept()).toEqual(before);
  const taken = await pool.rbdsr(['rekey', sr.uuid, '--user', 'given', '--key-stdin'], key);
  expect(taken.code, taken.said).toBe(0);
  expect(taken.said).not.toContain('nobody on this host could try it');
  expect(await pool.pluggableBy(sr)).toBe('given');
});

describe('what makes or removes a cephx user takes an administrator of the cluster, and says whom it asked', () => {
  test.each([
    ['another user of its own', []],
    ['the removal of the users of before', ['--remove-old']],
  ])('%s', async (_what, options) => {
    const sr: DivertedSr = await pool.diverted({ 'rbd_former_user_rbdsr-x': 'x' });
    const before = sr.kept();
    const { code, said } = await pool.rbdsr(['rekey', sr.uuid, ...options], PASSWORD);
    expect(code).toBe(1);
    expect(said).toMatch(/by an administrator of the cluster alone, over SSH: .*:22.*monitor-unreachable/s);
    expect(sr.kept()).toEqual(before);
  });
});

const SOME_KEY = 'AQDDnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==';
