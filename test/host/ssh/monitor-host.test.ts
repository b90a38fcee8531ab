import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { runProgram } from '../../../lab/machine/program.ts';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { silentLog } from '../../../src/base/log.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { type NativePlane, openNativePlane } from '../../../src/ceph/control/native/native-plane.ts';
import { connectMonitorHost } from '../../../src/ceph/control/ssh/monitor-host.ts';
import type { MonitorHost, MonitorHostOptions } from '../../../src/ceph/control/ssh/monitor-host.ts';
import { poolsOfImage } from '../../../src/ceph/control/own-user.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { controlPlaneAccounts } from '../../support/control-plane-accounts.ts';
import { controlPlaneSuite } from '../../support/control-plane-suite.ts';
import { failureOf } from '../../support/expect-error.ts';
import { ClusterHere } from '../ceph/cluster-here.ts';
import { sudoersOfDocument } from './sudoers-document.ts';

const PASSWORD = "p'w $HOME";
const soon = (ms = 30_000): Deadline => Deadline.after(ms);

let here: ClusterHere;
let cluster: Cluster;
let address: string;
const hosts = new Map<string, SshHost>();
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-ssh-'));
const keyFile = join(folder, 'id_ed25519');

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'sshceph', monitors: 2 });
  ({ cluster } = here);
  await cluster.createPool('other');
  await cluster.createPool('with space');
  await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
  const people = [
    { name: 'root', password: PASSWORD, sudo: 'none' },
    { name: 'free', password: PASSWORD, sudo: 'nopasswd' },
    { name: 'asks', password: PASSWORD, sudo: 'password' },
    { name: 'none', password: PASSWORD, sudo: 'none' },
    { name: 'tty', password: PASSWORD, sudo: 'tty' },
    { name: 'noisy', password: PASSWORD, sudo: 'nopasswd', bashrc: 'echo "Welcome!"; echo "{}"\n' },
    { name: 'rbdsr', password: PASSWORD, sudo: 'none', sudoers: sudoersOfDocument() },
    { name: 'earlier', password: PASSWORD, sudo: 'none', sudoers: earlierSudoers() },
  ] as const;
  const start = async (name: string, port: number, more: object = {}): Promise<void> => {
    hosts.set(
      name,
      await SshHost.start(here.run, cluster, { users: people, name, port, hostKeys: ['ed25519'], ...more }),
    );
  };
  await start('monitor', 22);
  await start('no-ceph', 23, { hideCeph: 'absent' });
  await start('cephadm', 24, { hideCeph: 'cephadm' });
  await start('no-keyring', 25, { hideKeyring: true });
  await start('forced', 26, { sshdConfig: ['ForceCommand echo no shell for you'] });
  expect(spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile]).status).toBe(0);
  here.enter();
  address = hosts.get('monitor')?.address ?? '';
});

afterAll(async () => {
  here.leave();
  for (const host of hosts.values()) await host.stop();
  await here.end();
  rmSync(folder, { recursive: true });
});

function login(user: string, changes: Partial<MonitorHostOptions>, on = 'monitor'): MonitorHostOptions {
  return {
    targets: [{ host: address, port: hosts.get(on)?.port ?? 22 }],
    user,
    password: new Secret(PASSWORD),
    hostKeys: { knownHosts: '', knownHostsPath: '/etc/rbdsr/known_hosts', unlisted: 'accept' },
    deadline: soon(),
    log: silentLog,
    ...changes,
  };
}

function monitor(user: string, changes: Partial<MonitorHostOptions> = {}, on?: string): Promise<MonitorHost> {
  return connectMonitorHost(login(user, changes, on));
}

/** Commands that sshd ran, and connections that logged in, while `work` did. */
async function counted(work: () => Promise<void>): Promise<{ commands: number; logins: number }> {
  const host = hosts.get('monitor');
  const before = host?.log.length ?? 0;
  await work();
  const said = host?.log.slice(before) ?? '';
  return {
    commands: said.split('Starting session: command').length - 1,
    logins: said.split('Accepted password').length - 1,
  };
}

describe.each(['root', 'asks', 'noisy'])('as %s', (user) => {
  test('each step of discovery is one connection and one command', async () => {
    const pools = await counted(async () => {
      await using host = await monitor(user);
      const names = (await host.listPools(soon())).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(['rbd', 'other']));
      expect(names).not.toContain('unmarked');
    });
    expect(pools).toEqual({ commands: 1, logins: 1 });
    await cluster.createImage(`rbd/of-${user}`, { sizeMiB: 8 });
    const images = await counted(async () => {
      await using host = await monitor(user);
      const listed = await host.listImages('rbd', undefined, soon());
      expect(listed.find(({ spec }) => spec.image === `of-${user}`)?.sizeBytes).toBe(8 * MiB);
    });
    expect(images).toEqual({ commands: 1, logins: 1 });
  });

  test('the beginning of an image, whatever its size', async () => {
    const content = randomBytes(3 * MiB);
    const file = join(here.run.path, `content-of-${user}`);
    writeFileSync(file, content);
    await cluster.tool('rbd', 'import', '--no-progress', file, `rbd/read-${user}`);
    await using host = await monitor(user);
    const spec = { pool: 'rbd', image: `read-${user}` };
    expect((await host.readRange(spec, { offset: 0, length: MiB }, soon())).equals(content.subarray(0, MiB))).toBe(
      true,
    );
    expect((await host.readRange(spec, { offset: 0, length: 8 * MiB }, soon())).equals(content)).toBe(true);
    const inside = await host.readRange(spec, { offset: 2 * MiB + 512, length: 512 }, soon());
    expect(inside.equals(content.subarray(2 * MiB + 512, 2 * MiB + 1024))).toBe(true);
    expect(await host.readRange(spec, { offset: 3 * MiB, length: 512 }, soon())).toHaveLength(0);
    const error = await failureOf('image-missing', () =>
      host.readRange({ pool: 'rbd', image: 'nope' }, { offset: 0, length: MiB }, soon()),
    );
    expect(error.message).toContain('rbd/nope');
  });
});

/** The document's list as it was before users of ours could unfence. */
function earlierSudoers(): string {
  const list = sudoersOfDocument();
  const more = /\(\\, allow command [^)]*\)\?/;
  expect(list).toMatch(more);
  return list
    .replace(more, '')
    .replaceAll(/\bRBDSR_/g, 'EARLIER_')
    .replaceAll(/^(Defaults:)?rbdsr/gm, '$1earlier');
}

describe('what the monitor tells', () => {
  test('the fsid and every monitor, in both protocols', async () => {
    await using host = await monitor('free');
    const { fsid, monitors } = await host.facts(soon());
    expect(fsid).toBe(cluster.fsid);
    expect(await host.clusterId(soon())).toBe(cluster.fsid);
    expect(monitors.map(({ v1 }) => `${v1?.host}:${v1?.port}`).sort()).toEqual(cluster.monitors);
    expect(monitors.map(({ v2 }) => v2?.port)).toEqual([3300, 3300]);
  });

  test('a user of our own, made once, for one pool', async () => {
    await using host = await monitor('asks');
    const made = await host.ensureUser(['rbd'], 'rbdsr-one', soon());
    expect(made.key.reveal()).toBe(await cluster.userKey('rbdsr-one'));
    const caps = await cluster.tool('ceph', 'auth', 'get', 'client.rbdsr-one');
    expect(caps).toContain('caps mon = "profile rbd, ');
    expect(caps).toContain('caps osd = "profile rbd pool=rbd"');
    expect((await host.ensureUser(['rbd'], 'rbdsr-one', soon())).key.reveal()).toBe(made.key.reveal());
    // Someone changed it: it stays as it is.
    await cluster.tool('ceph', 'auth', 'caps', 'client.rbdsr-one', 'mon', 'profile rbd', 'osd', 'allow r');
    expect((await host.ensureUser(['rbd'], 'rbdsr-one', soon())).key.reveal()).toBe(made.key.reveal());
    await host.removeUser('rbdsr-one', soon());
    await host.removeUser('rbdsr-one', soon());
    expect((await cluster.tryTool('ceph', 'auth', 'get', 'client.rbdsr-one')).code).not.toBe(0);
  });

  test('a user of our own lets a client in again that it has fenced, and does no more to the list of those', async () => {
    await using host = await monitor('free');
    const own = await host.ensureUser(['rbd'], 'rbdsr-fences', soon());
    const as = (user: string, key: Secret): NativePlane =>
      openNativePlane({ monitors: parseMonitors(cluster.monitors.join(',')), user, key });
    // As one was made before.
    const { key } = await cluster.createUser('least', ['rbd']);
    using plane = as(own.user, own.key);
    using least = as('least', new Secret(key));
    const client = '10.99.99.99:0/4713';
    const fenced = (): Promise<string> => cluster.tool('ceph', 'osd', 'blocklist', 'ls');
    await plane.fence(client, 600, soon());
    expect(await fenced()).toContain(client);
    await failureOf('cluster-auth', () => least.unfence(client, soon()));
    expect(await fenced()).toContain(client);
    await plane.unfence(client, soon());
    expect(await fenced()).not.toContain(client);
    const keyring = join(here.run.path, 'fences.keyring');
    writeFileSync(keyring, `[client.rbdsr-fences]\n\tkey = ${own.key.reveal()}\n`);
    const argv = ['ceph', '-c', cluster.configPath, '-n', 'client.rbdsr-fences', '-k', keyring];
    const tried = async (...words: string[]): Promise<string> =>
      (await runProgram(cluster.network.inside([...argv, ...words]))).stderr;
    // The word of clusters before 16, which 16 takes too.
    await cluster.tool('ceph', 'osd', 'blocklist', 'add', client, '60');
    expect(await tried('osd', 'blacklist', 'rm', client)).toMatch(/un-bl[ao]cklisting/);
    expect(await fenced()).not.toContain(client);
    for (const words of [
      ['osd', 'blocklist', 'clear'],
      ['osd', 'pool', 'create', 'own', '1'],
      ['auth', 'ls'],
    ]) {
      expect(await tried(...words), words.join(' ')).toContain('EACCES');
    }
    await host.removeUser('rbdsr-fences', soon());
  });

  test('an account that may only make users as they were before makes such a one', async () => {
    await using host = await monitor('earlier');
    await host.ensureUser(['rbd'], 'rbdsr-earlier', soon());
    const caps = await cluster.tool('ceph', 'auth', 'get', 'client.rbdsr-earlier');
    expect(caps).toContain('caps mon = "profile rbd"\n');
    await host.removeUser('rbdsr-earlier', soon());
  });

  test('a user for an image whose data are in another pool', async () => {
    await using host = await monitor('asks');
    await cluster.createPool('data');
    await cluster.tool('rbd', 'create', '--size', '64M', '--data-pool', 'data', 'rbd/wide');
    const pools = await poolsOfImage(host, { pool: 'rbd', image: 'wide' }, soon());
    expect(pools).toEqual(['rbd', 'data']);
    const { user } = await host.ensureUser(pools, 'rbdsr-wide', soon());
    const caps = await cluster.tool('ceph', 'auth', 'get', `client.${user}`);
    expect(caps).toContain('caps osd = "profile rbd pool=rbd, profile rbd pool=data"');
    await host.removeUser(user, soon());
    await cluster.createImage('rbd/narrow', { sizeMiB: 8 });
    expect(await poolsOfImage(host, { pool: 'rbd', image: 'narrow' }, soon())).toEqual(['rbd']);
    for (const image of ['rbd/wide', 'rbd/narrow']) await cluster.removeImage(image);
  });

  test('a pool whose name a capability must quote', async () => {
    await using host = await monitor('free');
    await host.ensureUser(['with space'], 'rbdsr-quoted', soon());
    const listed = await cluster.tool('ceph', 'auth', 'get', 'client.rbdsr-quoted');
    expect(listed).toContain('profile rbd pool=');
    await host.removeUser('rbdsr-quoted', soon());
  });

  test.each(['admin', 'rbdsr-', 'rbdsr-x; rm', 'RBDSR-x', 'rbdsr-../x'])('%j is no user of ours', async (name) => {
    await using host = await monitor('free');
    await failureOf('invalid-argument', () => host.ensureUser(['rbd'], name, soon()));
    await failureOf('invalid-argument', () => host.removeUser(name, soon()));
  });
});

controlPlaneSuite({
  name: 'on a monitor over SSH',
  cluster: () => cluster,
  with: async (work) => {
    await using host = await monitor('asks');
    return await work(host);
  },
  may: { everyPool: true, unfence: true },
});

controlPlaneAccounts({
  name: 'on a monitor over SSH, whose client.admin may do so much',
  cluster: () => cluster,
  seesWhoLacksMonitors: false,
  withUser: async (capabilities, work) => {
    const everything = ['mon', 'allow *', 'mgr', 'allow *', 'osd', 'allow *', 'mds', 'allow *'];
    const keyring = join(folder, 'other-admin.keyring');
    const other = ['client.other-admin', ...everything, '-o', keyring];
    await cluster.tool('ceph', 'auth', 'get-or-create', ...other);
    const setAdmin = (may: readonly string[]) =>
      cluster.tool(
        'ceph',
        '--name',
        'client.other-admin',
        '--keyring',
        keyring,
        'auth',
        'caps',
        'client.admin',
        ...may,
      );
    await setAdmin(capabilities);
    try {
      await using host = await monitor('asks');
      return await work(host);
    } finally {
      await setAdmin(everything);
    }
  },
});

describe('the short sudoers list of the document', () => {
  test('is enough for everything RBDSR does', async () => {
    await using host = await monitor('rbdsr');
    await host.listPools(soon());
    await host.facts(soon());
    await host.clusterId(soon());
    const spec = { pool: 'rbd', image: 'short-list' };
    await host.createImage(spec, 8 * MiB, soon());
    await host.createImage(spec, 8 * MiB, soon());
    await host.resizeImage(spec, 12 * MiB, soon());
    await host.watchers(spec, soon());
    expect(await host.readRange(spec, { offset: 0, length: MiB }, soon())).toHaveLength(MiB);
    await host.listImages('rbd', undefined, soon());
    await cluster.tryTool('rbd', 'namespace', 'create', 'rbd/ns1');
    await host.createImage({ ...spec, namespace: 'ns1' }, 8 * MiB, soon());
    await host.listImages('rbd', 'ns1', soon());
    await host.listNamespaces('rbd', soon());
    await host.poolSpace('rbd', soon());
    const layout = { objectBytes: 65_536, dataPool: 'other' };
    await host.createImage({ pool: 'rbd', image: 'short-list-2' }, 8 * MiB, soon(), layout);
    await host.fence('10.99.99.99:0/4712', 60, soon());
    await host.unfence('10.99.99.99:0/4712', soon());
    await failureOf('pool-missing', () => host.listImages('nopool', undefined, soon()));
    const user = await host.ensureUser(['rbd'], 'rbdsr-short', soon());
    await cluster.tool('ceph', 'auth', 'caps', 'client.rbdsr-short', 'mon', 'profile rbd', 'osd', 'allow r');
    expect((await host.ensureUser(['rbd'], 'rbdsr-short', soon())).key.reveal()).toBe(user.key.reveal());
    await host.removeUser('rbdsr-short', soon());
  });

  test('lets a user be made with a type of key, where the cluster knows types', async () => {
    await using host = await monitor('rbdsr');
    const caps = ['mon', 'profile rbd', 'osd', 'profile rbd pool=rbd'];
    const patience = ['--format', 'json', '--connect-timeout', '10', '--rados-mon-op-timeout', '10'];
    const argv = ['auth', 'get-or-create', '--key-type', 'aes', 'client.rbdsr-typed', ...caps, ...patience];
    const outcome = await host.connection.exec(['sudo', '-n', '--', '/usr/bin/ceph', ...argv], { deadline: soon() });
    // This cluster does not: it is Ceph that says so.
    expect(outcome.end).toEqual({ kind: 'exit', code: 22 });
    expect(outcome.stderr).toContain('--key-type');
  });

  test.each(['vm+ssd', 'vm:ssd', 'vm,ssd', 'quo"te'])(
    'lets a user be made for the pool %s, with another for the data',
    async (pool) => {
      await using host = await monitor('rbdsr');
      await host.ensureUser([pool, 'data'], 'rbdsr-odd', soon());
      await host.removeUser('rbdsr-odd', soon());
    },
  );

  test.each([
    ['ceph', 'auth', 'get', 'client.admin'],
    ['ceph', 'auth', 'get', 'client.rbdsr-x', '--conf', '/tmp/evil.conf'],
    ['ceph', 'auth', 'get-or-create', 'client.rbdsr-x', 'mon', 'allow *'],
    ['ceph', 'auth', 'get-or-create', '--key-type', 'aes', 'client.admin', 'mon', 'allow *'],
    ['ceph', 'auth', 'rm', 'client.admin'],
    ['ceph', 'osd', 'pool', 'ls', 'detail', '-c', '/tmp/evil.conf', '--format', 'json', '--connect-timeout', '10'],
    ['ceph', 'osd', 'pool', 'rm', 'rbd', 'rbd'],
    ['rbd', 'rm', 'rbd/made'],
    ['sh', '-c', 'id'],
  ])('does not let the account run %s %s %s %s', async (program, ...args) => {
    await using host = await monitor('rbdsr');
    const tool = program === 'sh' ? '/bin/sh' : `/usr/bin/${program}`;
    const outcome = await host.connection.exec(['sudo', '-n', '--', tool, ...args], { deadline: soon() });
    expect(outcome.end).toEqual({ kind: 'exit', code: 1 });
    expect(outcome.stderr).toMatch(/not allowed to execute|password is required/);
  });
});

describe('many answers, each its own', () => {
  const refused = async (code: Parameters<typeof failureOf>[0], user: string, on?: string) => {
    await using host = await monitor(user, {}, on);
    const error = await failureOf(code, () => host.listPools(soon()));
    expect(error.message).not.toContain(PASSWORD);
    return error.message;
  };

  test('no right to use sudo', async () => {
    expect(await refused('sudo-refused', 'none')).toContain('does not let "none" run this command');
  });

  test('sudo that wants a terminal', async () => {
    expect(await refused('sudo-refused', 'tty')).toContain('!requiretty');
  });

  test('sudo that refuses the password', async () => {
    hosts.get('monitor')?.authorise('asks', readFileSync(`${keyFile}.pub`, 'utf8').trim());
    await using host = await monitor('asks', { password: new Secret('wrong'), privateKeys: [keyFile] });
    const error = await failureOf('sudo-refused', () => host.listPools(soon()));
    expect(error.message).toContain('refuses the one that was given');
  });

  test('sudo that asks, and there is no password', async () => {
    hosts.get('monitor')?.authorise('asks', readFileSync(`${keyFile}.pub`, 'utf8').trim());
    const { password: _, ...keyOnly } = login('asks', { privateKeys: [keyFile] });
    await using host = await connectMonitorHost(keyOnly);
    expect((await failureOf('sudo-refused', () => host.listPools(soon()))).message).toContain('none is given');
  });

  test('no ceph tools', async () => {
    expect(await refused('control-plane-missing', 'free', 'no-ceph')).toContain('ceph-common');
  });

  test('a cephadm cluster', async () => {
    expect(await refused('control-plane-missing', 'free', 'cephadm')).toContain('cephadm shell');
  });

  test('no admin keyring', async () => {
    expect(await refused('admin-key-missing', 'free', 'no-keyring')).toContain('ceph.client.admin.keyring');
    await using host = await monitor('root', {}, 'no-keyring');
    await failureOf('admin-key-missing', () => host.listImages('rbd', undefined, soon()));
  });

  test('an account that runs no commands', async () => {
    expect(await refused('ssh-login', 'free', 'forced')).toContain('no shell for you');
  });

  test('no host at all, though the monitor answers there', async () => {
    const monitors = parseMonitors(cluster.monitors.join(','));
    const error = await failureOf('monitor-unreachable', () =>
      monitor('free', { targets: [{ host: address, port: 9 }], monitors }),
    );
    expect(error.message).toContain('A Ceph monitor itself does answer');
  });

  test('no Ceph monitor at all', async () => {
    // Reads what it is told and answers with a PDU of its own, as an iSCSI target does.
    const target = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(Buffer.from([0x3f, 0x80, 0, 0, ...Array.from({ length: 44 }, () => 0)]));
    });
    await new Promise<void>((resolve) => target.listen(6799, address, resolve));
    try {
      const monitors = parseMonitors(`${address}:6799`);
      const closed = { targets: [{ host: address, port: 9 }], monitors };
      const error = await failureOf('monitor-unreachable', () => monitor('free', closed));
      expect(error.message).toContain('not Ceph');
      await using host = await monitor('free', { monitors }, 'no-ceph');
      await failureOf('monitor-unreachable', () => host.listPools(soon()));
    } finally {
      target.close();
    }
  });

  test('something that waits to be spoken to, as an iSCSI target does', async () => {
    const target = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => target.listen(6799, address, resolve));
    try {
      const monitors = parseMonitors(`${address}:6799`);
      const closed = { targets: [{ host: address, port: 9 }], monitors };
      const error = await failureOf('monitor-unreachable', () => monitor('free', closed));
      expect(error.message).toContain('may be an iSCSI target');
      expect(error.message).not.toContain('does answer');
      await using host = await monitor('free', { monitors }, 'no-ceph');
      const bare = await failureOf('control-plane-missing', () => host.listPools(soon()));
      expect(bare.message).toContain('may be an iSCSI target');
    } finally {
      target.close();
    }
  });

  test('OSDs that do not answer', async () => {
    await cluster.freezeOsds();
    try {
      await using host = await monitor('free');
      await failureOf('osd-unresponsive', () => host.imageInfo({ pool: 'rbd', image: 'made' }, soon(3000)));
    } finally {
      cluster.thawOsds();
    }
  });

  test('a quorum that is lost', async () => {
    await cluster.stopMonitor(1);
    // The one that is left serves until its lease has run out.
    await Deadline.after(60_000).until(async () => {
      const { state } = JSON.parse(await cluster.tool('ceph', 'daemon', 'mon.a', 'mon_status')) as { state: string };
      return state === 'probing' || state === 'electing' ? state : undefined;
    }, 'the monitor to notice');
    await using host = await monitor('free');
    await Promise.all([
      failureOf('quorum-lost', () => host.facts(soon())),
      failureOf('quorum-lost', () => host.listImages('rbd', undefined, soon())),
    ]);
  });
});
