import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { CephOfToday } from '../../support/stand-ins/ceph-of-today.ts';
import { place } from '../../support/folder-host.ts';
import { type DivertedSr, PASSWORD, PoolWithCluster, type Result, SSH_USERS } from '../access/pool-with-cluster.ts';

// `rbdsr rekey`, `remonitor` and `doctor --monitor`. What a kill leaves: test/host/access/every-step.test.ts.

let pool: PoolWithCluster;
let cluster: Cluster;
let ssh: SshHost;
let xapi: XapiDouble;
let folder: string;
let root: string;
let today: SshHost;
let ceph: CephOfToday;

beforeAll(async () => {
  pool = await PoolWithCluster.make('rekey');
  ({ cluster, ssh, xapi, folder, root } = pool);
  ceph = new CephOfToday(pool.run.folder('ceph-of-today'));
  today = await SshHost.start(pool.run, cluster, {
    users: SSH_USERS,
    name: 'today',
    port: 24,
    hostKeys: ['ed25519'],
    ceph: ceph.program,
  });
});

afterAll(async () => {
  await today?.stop();
  await pool?.[Symbol.asyncDispose]();
});

const rbdsr = (...call: Parameters<PoolWithCluster['rbdsr']>): Promise<Result> => pool.rbdsr(...call);
const diverted = (kept?: Record<string, string>): Promise<DivertedSr> => pool.diverted(kept);
const secret = (value: string): string => pool.secret(value);
const pluggableBy = (sr: DivertedSr): Promise<string> => pool.pluggableBy(sr);
const exists = (user: string): Promise<boolean> => pool.exists(user);
const login = (): string[] => ['--monitor', ssh.address, '--ssh-user', 'rbdsr', '--password-stdin'];

describe('another user of its own', () => {
  test('is made, used by the next plug, and leaves the old one to those who have the image mapped', async () => {
    const sr = await diverted();
    const before = sr.kept()['rbd_password_secret'] ?? '';
    const { code, said } = await rbdsr(['rekey', sr.uuid, ...login()], PASSWORD);
    expect(code, said).toBe(0);
    const user = `rbdsr-${sr.uuid}-2`;
    expect(await pluggableBy(sr)).toBe(user);
    expect(await cluster.tool('ceph', 'auth', 'get', `client.${user}`)).toContain('profile rbd pool=rbd');
    expect(await exists(`rbdsr-${sr.uuid}`)).toBe(true);
    expect(xapi.db.where('secret', 'uuid', before)).toEqual([]);
    expect(said).toContain(`xe pbd-plug uuid=${stringOf(sr.pbd, 'uuid')}`);
    expect(said).toContain(`rbdsr rekey ${sr.uuid} --remove-old`);
    expect(xapi.offences).toEqual([]);
  });

  test('of another cluster than the SR is in is refused', async () => {
    const sr = await diverted({ rbd_fsid: randomUUID() });
    const before = sr.kept();
    const { code, said } = await rbdsr(['rekey', sr.uuid]);
    expect(code).toBe(1);
    expect(said).toContain('another cluster');
    expect(sr.kept()).toEqual(before);
  });
});

test('the old user goes once nobody has the image open by it', async () => {
  const sr = await diverted();
  const old = `rbdsr-${sr.uuid}`;
  expect(await rbdsr(['rekey', sr.uuid])).toMatchObject({ code: 0 });
  // A client that no host of the pool knows of.
  const argv = cluster.network.inside(['rbd', '-c', cluster.configPath, 'watch', 'rbd/a']);
  const [program = '', ...args] = argv;
  const watch = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = new Promise((resolve) => watch.once('exit', resolve));
  const watchers = async (): Promise<{ client: number }[]> =>
    (JSON.parse(await cluster.tool('rbd', 'status', '--format', 'json', 'rbd/a')) as { watchers: { client: number }[] })
      .watchers;
  try {
    await Deadline.after(20_000).until(async () => ((await watchers()).length > 0 ? true : undefined), 'a watcher');
    const { code, said } = await rbdsr(['rekey', sr.uuid, '--remove-old', ...login()], PASSWORD);
    expect(code).toBe(1);
    expect(said).toContain('has the image open');
    expect(said).toContain(`ceph auth rm client.${old}`);
    expect(await exists(old)).toBe(true);
    // It was a mapping of this host, by the new user.
    map((await watchers())[0]?.client ?? 0, `rbdsr-${sr.uuid}-2`);
    expect((await rbdsr(['rekey', sr.uuid, '--remove-old'])).said).toContain(`client.${old} is removed`);
  } finally {
    watch.stdin.end('\n');
    await ended;
    rmSync(join(root, 'sys'), { recursive: true, force: true });
  }
  expect(await exists(old)).toBe(false);
  expect(await pluggableBy(sr)).toBe(`rbdsr-${sr.uuid}-2`);
  expect((await rbdsr(['rekey', sr.uuid, '--remove-old'])).said).toContain('has no cephx users that it used before');
});

/** As Linux shows a mapped image. */
function map(client: number, user: string): void {
  const attributes = {
    pool: 'rbd',
    name: 'a',
    current_snap: '-',
    major: '252',
    minor: '0',
    size: String(8 << 20),
    features: '0x1',
    cluster_fsid: cluster.fsid,
    client_id: `client${client}`,
    config_info: `${cluster.monitors.join(',')} name=${user},key=client.${user} rbd a -`,
  };
  for (const [name, value] of Object.entries(attributes)) {
    place(join(root, 'sys/bus/rbd/devices/0', name), (path) => writeFileSync(path, `${value}\n`));
  }
}

describe('a given user and key', () => {
  test('are tried first, then used; the own user is one of before', async () => {
    const sr = await diverted();
    const { key } = await cluster.createUser('given', ['rbd']);
    const other = await cluster.createUser('other', ['rbd']);
    const before = sr.kept();
    const refused = await rbdsr(['rekey', sr.uuid, '--user', 'given', '--key-stdin'], other.key);
    expect(refused.code).toBe(1);
    expect(refused.said).toContain('cluster-auth');
    expect(sr.kept()).toEqual(before);
    expect(await rbdsr(['rekey', sr.uuid, '--user', 'client.given', '--key-stdin'], key)).toMatchObject({ code: 0 });
    expect(await pluggableBy(sr)).toBe('given');
    expect(sr.kept()).toMatchObject({
      rbd_own_user: 'false',
      [`rbd_former_user_rbdsr-${sr.uuid}`]: expect.any(String),
    });
  });

  test('of SR type rbd, in its PBDs', async () => {
    const own = secret('AQDDnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==');
    const smConfig = { rbd_fsid: cluster.fsid, rbd_password_secret: own };
    const sr = xapi.db.create('SR', { type: 'rbd', sm_config: smConfig });
    const { key } = await cluster.createUser('typed', ['rbd']);
    const password = secret('AQDDnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==');
    const config = {
      monitors: cluster.monitors.join(','),
      pool: 'rbd',
      image: 'a',
      user: 'typed',
      password_secret: password,
    };
    const pbd = xapi.db.create('PBD', { SR: sr.ref, host: xapi.master.ref, device_config: config });
    expect(await rbdsr(['rekey', stringOf(sr, 'uuid'), '--key-stdin'], key)).toMatchObject({ code: 0 });
    for (const uuid of [password, own]) {
      expect(xapi.db.where('secret', 'uuid', uuid).map(({ fields }) => fields['value'])).toEqual([key]);
    }
    expect(mapOf(pbd, 'device_config')).toEqual(config);
    // The next plug makes a copy anew that is gone.
    xapi.db.destroy('secret', xapi.db.where('secret', 'uuid', own)[0]?.ref ?? '');
    expect(await rbdsr(['rekey', stringOf(sr, 'uuid'), '--key-stdin'], key)).toMatchObject({ code: 0 });
    const { code, said } = await rbdsr(['rekey', stringOf(sr, 'uuid'), ...login()], PASSWORD);
    expect(code).toBe(1);
    expect(said).toContain('--key-stdin');
  });
});

describe('a cluster of today', () => {
  const conf = (): string => join(root, 'etc/rbdsr/rbdsr.conf');
  const fingerprint = (): Promise<string> => today.hostKeyFingerprint();
  /** The host key is that of another sshd than the SR keeps. */
  const todays = async (user = 'rbdsr'): Promise<string[]> => {
    place(conf(), (path) => writeFileSync(path, 'ssh_port = 24\n'));
    return ['--monitor', today.address, '--ssh-user', user, '--password-stdin', '--host-key', await fingerprint()];
  };
  afterEach(() => rmSync(conf(), { force: true }));

  test('that prefers keys of no use to a kernel is asked for one of type aes, and what it allows is said', async () => {
    const sr = await diverted();
    ceph.allow('aes', 'aes256k');
    const { code, said } = await rbdsr(['rekey', sr.uuid, ...(await todays())], PASSWORD);
    expect(code, said).toBe(0);
    expect(said).toContain('allows cephx keys of type aes and aes256k');
    expect(ceph.calls.filter((call) => call.includes('get-or-create'))).toEqual([
      expect.stringContaining(`auth get-or-create --key-type aes client.rbdsr-${sr.uuid}-2 `),
    ]);
    expect(await pluggableBy(sr)).toBe(`rbdsr-${sr.uuid}-2`);
  });

  test.skipIf(kernelTraits().aes256k)('that allows no other is refused before a user is made', async () => {
    const sr = await diverted();
    const before = sr.kept();
    ceph.allow('aes256k');
    const { code, said } = await rbdsr(['rekey', sr.uuid, ...(await todays())], PASSWORD);
    expect(code).toBe(1);
    expect(said).toContain('cluster-incompatible');
    expect(said).toContain('ceph mon set auth_allowed_ciphers aes,aes256k');
    expect(ceph.calls.filter((call) => call.includes('get-or-create'))).toEqual([]);
    expect(await exists(`rbdsr-${sr.uuid}-2`)).toBe(false);
    expect(sr.kept()).toEqual(before);
  });

  test.skipIf(kernelTraits().aes256k)('is looked at by doctor', async () => {
    ceph.allow('aes256k');
    const refused = await rbdsr(['doctor', ...(await todays('boss'))], PASSWORD);
    expect(refused.code, refused.said).toBe(1);
    expect(refused.said).toContain('allows cephx keys of type aes256k');
    expect(refused.said).toContain('ceph mon set auth_allowed_ciphers aes,aes256k');
    ceph.allow('aes', 'aes256k');
    const { said } = await rbdsr(['doctor', '--json', ...(await todays('boss'))], PASSWORD);
    const { keys } = JSON.parse(said) as { keys: { says: string; problem?: string } };
    expect(keys).toEqual({ says: expect.stringContaining('allows cephx keys of type aes and aes256k') });
  });

  test.skipIf(kernelTraits().aes256k)('whose key the kernel cannot use: it is refused before it is kept', async () => {
    const sr = await diverted();
    const before = sr.kept();
    const { code, said } = await rbdsr(
      ['rekey', sr.uuid, '--user', 'given', '--key-stdin'],
      sampleKey('aes256k').reveal(),
    );
    expect(code).toBe(1);
    expect(said).toContain('kernel-unsupported');
    expect(said).toContain('ceph auth rotate --key-type aes client.given');
    expect(sr.kept()).toEqual(before);
  });
});

test('another SSH password', async () => {
  const sr = await diverted();
  const uuid = mapOf(sr.pbd, 'device_config')['chappassword_secret'] ?? '';
  xapi.db.get('secret', xapi.db.where('secret', 'uuid', uuid)[0]?.ref ?? '').fields['value'] = 'outdated';
  expect((await rbdsr(['rekey', sr.uuid])).said).toContain('ssh-login');
  expect(await rbdsr(['rekey', sr.uuid, '--chap-password-stdin'], PASSWORD)).toMatchObject({ code: 0 });
  expect(await rbdsr(['rekey', sr.uuid])).toMatchObject({ code: 0 });
});

describe('other monitors', () => {
  test('as a monitor tells over SSH', async () => {
    const sr = await diverted({ rbd_monitors: '10.66.0.250:6789' });
    const { code, said } = await rbdsr(['remonitor', sr.uuid, '--target', ...login()], PASSWORD);
    expect(code, said).toBe(0);
    expect(sr.kept()['rbd_monitors']).toBe(cluster.monitors.join(','));
    expect(mapOf(sr.pbd, 'device_config')['target']).toBe(ssh.address);
    expect(await pluggableBy(sr)).toBe(`rbdsr-${sr.uuid}`);
  });

  test.each([
    ['that nobody answers at', '10.66.0.250', /monitor-unreachable/],
    ['that are no addresses', '10.0.0.300', /config-invalid/],
  ])('%s are refused', async (_what, addresses, says) => {
    const sr = await diverted();
    const before = sr.kept();
    const { code, said } = await rbdsr(['remonitor', sr.uuid, addresses]);
    expect(code).toBe(1);
    expect(said).toMatch(says);
    expect(sr.kept()).toEqual(before);
  });

  test('of another cluster are refused', async () => {
    const sr = await diverted({ rbd_fsid: randomUUID() });
    const before = sr.kept();
    for (const more of [[], login()]) {
      const { code, said } = await rbdsr(['remonitor', sr.uuid, ssh.address, ...more], PASSWORD);
      expect(code).toBe(1);
      expect(said).toContain('another cluster');
    }
    expect(sr.kept()).toEqual(before);
  });

  test('of SR type rbd, in its PBDs', async () => {
    const sr = xapi.db.create('SR', { type: 'rbd' });
    const config = { monitors: '10.66.0.250', pool: 'rbd', image: 'a', password_secret: secret('no cephx key at all') };
    const pbd = xapi.db.create('PBD', { SR: sr.ref, host: xapi.master.ref, device_config: config });
    expect(await rbdsr(['remonitor', stringOf(sr, 'uuid'), ssh.address])).toMatchObject({ code: 0 });
    expect(mapOf(pbd, 'device_config')).toEqual({ ...config, monitors: cluster.monitors.join(',') });
  });
});

test('a host key that has changed: refused, shown beside the one that is kept, and replaced when it was compared', async () => {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'other')]);
  const other = readFileSync(join(folder, 'other.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
  const [, otherPrint = ''] = execFileSync('ssh-keygen', ['-lf', join(folder, 'other.pub')], {
    encoding: 'utf8',
  }).split(' ');
  const sr = await diverted({ rbd_host_key: `${ssh.address} ${other}` });
  const before = sr.kept();
  expect((await rbdsr(['rekey', sr.uuid])).said).toContain('ssh-host-key');
  const shown = await ssh.hostKeyFingerprint();
  const asked = await rbdsr(['remonitor', sr.uuid, '--forget-host-key']);
  expect(asked.code).toBe(1);
  expect(asked.said).toContain(`kept:  ${otherPrint}\nshown: ${shown}\n`);
  expect(asked.said).toContain(`--host-key ${shown}`);
  const wrong = await rbdsr(['remonitor', sr.uuid, '--forget-host-key', '--host-key', otherPrint]);
  expect(wrong.code).toBe(1);
  expect(sr.kept()).toEqual(before);
  const replace = ['remonitor', sr.uuid, '--forget-host-key', '--host-key', shown];
  expect(await rbdsr(replace)).toMatchObject({ code: 0 });
  expect((await rbdsr(replace)).said).toContain('nothing was changed');
  expect(await rbdsr(['rekey', sr.uuid])).toMatchObject({ code: 0 });
});

describe('doctor', () => {
  test('names the cephx users of the cluster that no SR uses, and how each is removed', async () => {
    const sr = await diverted();
    const gone = await cluster.createUser(`rbdsr-${randomUUID()}`, ['rbd']);
    expect(await rbdsr(['rekey', sr.uuid])).toMatchObject({ code: 0 });
    const ask = ['doctor', '--monitor', ssh.address, '--ssh-user', 'boss', '--password-stdin'];
    const unknown = await rbdsr(ask, PASSWORD);
    expect(unknown.said).toContain('is not known here, and no password was sent');
    const { code, said } = await rbdsr([...ask, '--host-key', await ssh.hostKeyFingerprint(), '--json'], PASSWORD);
    expect(code).toBe(1);
    const { leavings } = JSON.parse(said) as { leavings: { kind: string; name: string; todo: string }[] };
    const users = new Map(leavings.filter(({ kind }) => kind === 'cephx user').map(({ name, todo }) => [name, todo]));
    expect(users.get(`client.${gone.name}`)).toContain(`ceph auth rm client.${gone.name}`);
    expect(users.get(`client.rbdsr-${sr.uuid}`)).toBe(`rbdsr rekey ${sr.uuid} --remove-old`);
    expect(users.has(`client.rbdsr-${sr.uuid}-2`)).toBe(false);
    expect(users.has('client.admin')).toBe(false);
  });

  test('is not let in by the short list of the document, which shows no keys', async () => {
    const ask = ['doctor', ...login(), '--host-key', await ssh.hostKeyFingerprint()];
    expect((await rbdsr(ask, PASSWORD)).said).toMatch(/does not let "rbdsr" run this command.*--ssh-user/);
  });
});

test.each([
  [['rekey', 'x'], 'malformed SR uuid'],
  [['rekey', '0f0e0d0c-0b0a-4908-8706-050403020100'], 'this pool has no SR'],
  [['rekey', '0f0e0d0c-0b0a-4908-8706-050403020100', '--user', 'xen'], '--key-stdin'],
  [['rekey', '0f0e0d0c-0b0a-4908-8706-050403020100', '--key-stdin', '--remove-old'], 'do not go together'],
])('%j is refused in words', async (args, says) => {
  const { code, said } = await rbdsr(args, 'x');
  expect(code).toBe(1);
  expect(said).toContain(says);
});
