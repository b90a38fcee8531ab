import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../../lab/cluster/cluster.ts';
import { type Outcome, runProgram } from '../../../lab/machine/program.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { keptBySr } from '../../../src/access/kept-access.ts';
import { loginXapi } from '../../../src/xapi/client.ts';
import { sudoersOfDocument } from '../ssh/sudoers-document.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { CephOfToday } from '../../support/ceph-of-today.ts';
import { buildProduct, place, placeHost } from '../../support/folder-host.ts';

// `rbdsr rekey`, `remonitor` and `doctor --monitor`: the built command on a host that is a folder, xapi's double, a
// real monitor behind a real SSH server. Whether an SR can be plugged is asked of the cluster, with the user and the
// key that a host would read.

const PASSWORD = 'c0rrect horse';

let run: RunFolder;
let cluster: Cluster;
let ssh: SshHost;
let xapi: XapiDouble;
let today: SshHost;
let ceph: CephOfToday;
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-rekey-'));
const root = join(folder, 'host');
const command = join(folder, 'rbdsr');
const socket = join(folder, 'xapi');

beforeAll(async () => {
  await sweepDeadRuns();
  run = RunFolder.create();
  cluster = await Cluster.start(run, { name: 'rekey' });
  ssh = await SshHost.start(run, cluster, {
    users: [
      { name: 'rbdsr', password: PASSWORD, sudo: 'none', sudoers: sudoersOfDocument() },
      { name: 'boss', password: PASSWORD, sudo: 'password' },
    ],
    hostKeys: ['ed25519'],
  });
  ceph = new CephOfToday(run.folder('ceph-of-today'));
  today = await SshHost.start(run, cluster, {
    users: [
      { name: 'rbdsr', password: PASSWORD, sudo: 'none', sudoers: sudoersOfDocument() },
      { name: 'boss', password: PASSWORD, sudo: 'password' },
    ],
    name: 'today',
    port: 24,
    hostKeys: ['ed25519'],
    ceph: ceph.program,
  });
  await cluster.createImage('rbd/a', { sizeMiB: 8 });
  const product = join(folder, 'product');
  buildProduct(product);
  place(command, (path) => symlinkSync(join(product, 'launcher.sh'), path));
  const uuid = randomUUID();
  const env = { RBDSR_ROOT: root, RBDSR_HOME: product, RBDSR_RUN: join(root, 'run') };
  const exec = (_host: string, _program: string, argument: string): Promise<Outcome> =>
    runProgram([join(product, 'plugin.sh'), argument], { env });
  xapi = await startXapiDouble(
    { unixSocket: socket },
    { exec },
    { profileId: '8.3b', hosts: [{ uuid, name: 'alpha' }] },
  );
  placeHost(root, uuid, socket);
});

afterAll(async () => {
  await xapi?.close();
  await ssh?.stop();
  await today?.stop();
  await cluster?.destroy();
  await sweepRun(run.id);
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  readonly code: number;
  readonly said: string;
}

/** `rbdsr ...`, with one line on its standard input. */
async function rbdsr(args: readonly string[], stdin = '', env: Record<string, string> = {}): Promise<Result> {
  const argv = cluster.network.inside([command, ...args]);
  const { code, stdout, stderr } = await runProgram(argv, {
    stdin: `${stdin}\n`,
    env: { RBDSR_ROOT: root, RBDSR_HOME: join(folder, 'product'), RBDSR_RUN: join(root, 'run'), ...env },
  });
  const said = stdout + stderr;
  expect(said).not.toContain(PASSWORD);
  for (const { fields } of xapi.db.all('secret')) expect(said).not.toContain(fields['value']);
  return { code, said };
}

const login = (): string[] => ['--monitor', ssh.address, '--ssh-user', 'rbdsr', '--password-stdin'];

interface DivertedSr {
  readonly uuid: string;
  readonly row: Row;
  readonly pbd: Row;
  /** What it keeps. */
  kept(): Record<string, string>;
}

const secret = (value: string): string => stringOf(xapi.db.create('secret', { value }), 'uuid');

/** As sr_create leaves it, the cephx user included. */
async function diverted(kept: Record<string, string> = {}): Promise<DivertedSr> {
  const uuid = randomUUID();
  const user = await cluster.createUser(`rbdsr-${uuid}`, ['rbd']);
  const row = xapi.db.create('SR', {
    uuid,
    type: 'lvmoiscsi',
    sm_config: {
      rbd_fsid: cluster.fsid,
      rbd_monitors: cluster.monitors.join(','),
      rbd_user: user.name,
      rbd_own_user: 'true',
      rbd_password_secret: secret(user.key),
      rbd_host_key: `${ssh.address} ${readFileSync(ssh.hostKeyFile(), 'utf8').split(' ').slice(0, 2).join(' ')}`,
      ...kept,
    },
  });
  const pbd = xapi.db.create('PBD', {
    SR: row.ref,
    host: xapi.master.ref,
    currently_attached: true,
    device_config: {
      target: ssh.address,
      port: '6789',
      chapuser: 'rbdsr',
      chappassword_secret: secret(PASSWORD),
      targetIQN: 'rbd',
      SCSIid: 'a',
    },
  });
  return { uuid, row, pbd, kept: () => mapOf(row, 'sm_config') };
}

/** With what a host would read at this moment: the user, where the cluster lets it open the image. */
async function pluggableBy({ row }: DivertedSr): Promise<string> {
  const own = await loginXapi({ socketPath: socket, deadline: Deadline.after(30_000) });
  try {
    const kept = await keptBySr(own, row.ref);
    const user = kept?.user ?? 'none';
    const keyring = join(folder, 'keyring');
    writeFileSync(keyring, `[client.${user}]\n\tkey = ${kept?.access.key.reveal() ?? ''}\n`);
    const monitors = kept?.access.monitors.map(({ host }) => host).join(',') ?? '';
    const argv = ['rbd', '-c', '/dev/null', '-m', monitors, '-n', `client.${user}`, '-k', keyring, 'info', 'rbd/a'];
    const { code, stderr } = await runProgram(cluster.network.inside(argv));
    expect(code, stderr).toBe(0);
    return user;
  } finally {
    await own.logout();
  }
}

const exists = async (user: string): Promise<boolean> =>
  (await cluster.tryTool('ceph', 'auth', 'get', `client.${user}`)).code === 0;

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

  test.each([
    ['rekey.after-create', ''],
    ['rekey.after-next-secret', '-2'],
  ])('killed at %s: the SR can be plugged, and the next run finishes', async (point, suffix) => {
    const sr = await diverted();
    expect((await rbdsr(['rekey', sr.uuid], '', { RBDSR_FAULT: point })).code).not.toBe(0);
    expect(await pluggableBy(sr)).toBe(`rbdsr-${sr.uuid}${suffix}`);
    expect(await rbdsr(['rekey', sr.uuid])).toMatchObject({ code: 0 });
    expect(await pluggableBy(sr)).toBe(`rbdsr-${sr.uuid}-2`);
    expect(Object.keys(sr.kept()).filter((key) => key.includes('next'))).toEqual([]);
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
  const conf = join(root, 'etc/rbdsr/rbdsr.conf');
  const fingerprint = (): Promise<string> => today.hostKeyFingerprint();
  /** The host key is that of another sshd than the SR keeps. */
  const todays = async (user = 'rbdsr'): Promise<string[]> => {
    place(conf, (path) => writeFileSync(path, 'ssh_port = 24\n'));
    return ['--monitor', today.address, '--ssh-user', user, '--password-stdin', '--host-key', await fingerprint()];
  };
  afterEach(() => rmSync(conf, { force: true }));

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
