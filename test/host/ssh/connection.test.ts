import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NetworkNamespace } from '../../../lab/machine/network-namespace.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import type { Log } from '../../../src/base/log.ts';
import { silentLog } from '../../../src/base/log.ts';
import { Secret } from '../../../src/base/secret.ts';
import { connectSsh } from '../../../src/system/ssh/ssh.ts';
import type { SshOptions } from '../../../src/system/ssh/ssh.ts';
import { failureOf } from '../../support/expect-error.ts';
import { enterNetwork } from '../ceph/inside-network.ts';

const ADDRESS = '10.66.7.1';
const PASSWORD = 'c0rrect horse';
const soon = (ms = 20_000): Deadline => Deadline.after(ms);

let run: RunFolder;
let host: SshHost;
let strict: SshHost;
let leave: () => void;
let network: NetworkNamespace;
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-ssh-'));
const keyFile = (type: string): string => join(folder, `id_${type}`);
const publicKey = (type: string): string => readFileSync(`${keyFile(type)}.pub`, 'utf8').trim();

beforeAll(async () => {
  await sweepDeadRuns();
  run = RunFolder.create();
  network = await NetworkNamespace.create(run, 'ssh', [ADDRESS]);
  for (const type of ['ed25519', 'ecdsa', 'rsa', 'other']) makeKey(type === 'other' ? 'ed25519' : type, keyFile(type));
  const users = [
    { name: 'both', password: PASSWORD, publicKey: publicKey('ed25519'), sudo: 'none' },
    { name: 'word', password: PASSWORD, sudo: 'none' },
    { name: 'key', sudo: 'none' },
  ] as const;
  host = await SshHost.start(run, { network, address: ADDRESS }, { users });
  // One failure ends the connection there, and passwords are asked for by PAM only.
  const sshdConfig = ['MaxAuthTries 1', 'UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes'];
  const options = { name: 'strict', port: 2222, hostKeys: ['ed25519'], users, sshdConfig };
  strict = await SshHost.start(run, { network, address: ADDRESS }, options);
  leave = enterNetwork(network.name);
});

afterAll(async () => {
  leave();
  await host.stop();
  await strict.stop();
  await network.remove();
  await sweepRun(run.id);
  rmSync(folder, { recursive: true });
});

function makeKey(type: string, path: string, passphrase = ''): void {
  const { status, stderr } = spawnSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-f', path]);
  if (status !== 0) throw new Error(String(stderr));
}

const policy = { knownHosts: '', knownHostsPath: '/etc/rbdsr/known_hosts', unlisted: 'accept' } as const;

function options(changes: Partial<SshOptions> = {}): SshOptions {
  return {
    targets: [{ host: ADDRESS, port: 22 }],
    user: 'word',
    password: new Secret(PASSWORD),
    hostKeys: policy,
    deadline: soon(),
    log: silentLog,
    ...changes,
  };
}

function recordingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
  };
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

describe('login', () => {
  test('by password, on a first visit, with the fingerprint in the log', async () => {
    const log = recordingLog();
    await using connection = await connectSsh(options({ log }));
    expect(connection.login).toBe('password');
    expect(connection.hostKey.trust).toBe('new');
    expect(connection.hostKey.fingerprint).toBe(await host.hostKeyFingerprint('ed25519'));
    expect(log.lines.join('\n')).toContain(connection.hostKey.fingerprint);
    expect(log.lines.join('\n')).not.toContain(PASSWORD);
  });

  test.each(['ed25519', 'ecdsa', 'rsa'])('by a key of type %s', async (type) => {
    host.authorise('key', publicKey(type));
    await using connection = await connectSsh(options({ user: 'key', privateKeys: [keyFile(type)] }));
    expect(connection.login).toBe('publickey');
    expect((await connection.exec(['id', '-un'], { deadline: soon() })).stdout).toBe('key\n');
  });

  test('a key comes before the password, and the password after a key that is refused', async () => {
    const privateKeys = ['/nonexistent', keyFile('other'), keyFile('ed25519')];
    await using first = await connectSsh(options({ user: 'both', privateKeys }));
    expect(first.login).toBe('publickey');
    await using second = await connectSsh(options({ user: 'both', privateKeys: [keyFile('other')] }));
    expect(second.login).toBe('password');
  });

  test('after the limit of failures the password goes over a second connection, to the same host key', async () => {
    const targets = [{ host: ADDRESS, port: 2222 }];
    await using connection = await connectSsh(options({ targets, user: 'both', privateKeys: [keyFile('other')] }));
    expect(connection.login).toBe('keyboard-interactive');
    expect(connection.hostKey).toMatchObject({ trust: 'new', fingerprint: await strict.hostKeyFingerprint() });
  });

  test('and not to another host key, even one that is listed', async () => {
    // What is behind the port changes between the two connections.
    const ports = [2222, 22];
    const proxy = createServer((socket) => {
      const server = connect({ host: ADDRESS, port: ports.shift() ?? 22 });
      socket.on('error', () => server.destroy());
      server.on('error', () => socket.destroy());
      socket.pipe(server).pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(2200, ADDRESS, resolve));
    try {
      const listed = [host, strict]
        .map((one) => `[${ADDRESS}]:2200 ${readFileSync(one.hostKeyFile(), 'utf8')}`)
        .join('');
      const before = host.log.length;
      for (const knownHosts of ['', listed]) {
        ports.splice(0, 2, 2222, 22);
        const targets = [{ host: ADDRESS, port: 2200 }];
        const privateKeys = [keyFile('other')];
        const error = await failureOf('ssh-host-key', () =>
          connectSsh(options({ targets, user: 'both', privateKeys, hostKeys: { ...policy, knownHosts } })),
        );
        expect(error.message).toContain(await strict.hostKeyFingerprint());
        expect(error.message).toContain(await host.hostKeyFingerprint());
      }
      expect(host.log.slice(before)).not.toContain('Accepted');
    } finally {
      proxy.close();
    }
  });

  test.each([
    { user: 'word', password: 'wrong' },
    { user: 'nobody-here', password: PASSWORD },
  ])('refused: $user with $password', async ({ user, password }) => {
    const error = await failureOf('ssh-login', () => connectSsh(options({ user, password: new Secret(password) })));
    expect(error.message).toContain(`"${user}"`);
    expect(error.message).toContain('refused the password');
    expect(error.message).not.toContain(password);
  });

  test('a wrong password where only PAM asks for it', async () => {
    const targets = [{ host: ADDRESS, port: 2222 }];
    await failureOf('ssh-login', () => connectSsh(options({ targets, password: new Secret('wrong') })));
  });

  test('nothing to log in with, and a key with a passphrase', async () => {
    makeKey('ed25519', keyFile('locked'), 'passphrase');
    const { password: _, ...without } = options({ privateKeys: [keyFile('locked')] });
    const error = await failureOf('ssh-login', () => connectSsh(without));
    expect(error.message).toContain('nothing to log in with');
    expect(error.message).toContain(keyFile('locked'));
  });
});

describe('host keys', () => {
  const line = (type: string, name = ADDRESS): string => `${name} ${readFileSync(host.hostKeyFile(type), 'utf8')}`;

  test.each(['ed25519', 'ecdsa', 'rsa'])('a listed key of type %s is asked for and accepted', async (type) => {
    await using connection = await connectSsh(options({ hostKeys: { ...policy, knownHosts: line(type) } }));
    expect(connection.hostKey).toMatchObject({ trust: 'known', fingerprint: await host.hostKeyFingerprint(type) });
  });

  test('a file that ssh-keygen has hashed', async () => {
    const path = join(folder, 'hashed');
    writeFileSync(path, line('rsa'));
    expect(spawnSync('ssh-keygen', ['-q', '-H', '-f', path]).status).toBe(0);
    const knownHosts = readFileSync(path, 'utf8');
    expect(knownHosts).toMatch(/^\|1\|/);
    const hostKeys = { ...policy, knownHosts, unlisted: 'refuse' } as const;
    await using connection = await connectSsh(options({ hostKeys }));
    expect(connection.hostKey.trust).toBe('known');
  });

  test('what one visit saw can be pinned for the next', async () => {
    await using first = await connectSsh(options());
    const pinned = first.hostKey.line;
    await using second = await connectSsh(options({ hostKeys: { ...policy, pinned, unlisted: 'refuse' } }));
    expect(second.hostKey).toMatchObject({ trust: 'pinned', fingerprint: first.hostKey.fingerprint });
  });

  test('a changed key is refused before any password is sent', async () => {
    const knownHosts = `${ADDRESS} ${publicKey('ed25519')}\n`;
    const before = host.log.length;
    const error = await failureOf('ssh-host-key', () => connectSsh(options({ hostKeys: { ...policy, knownHosts } })));
    expect(error.message).toContain(await host.hostKeyFingerprint('ed25519'));
    expect(error.message).toContain(fingerprintOf(keyFile('ed25519')));
    expect(error.message).toContain('ssh-keygen -R');
    expect(host.log.slice(before)).not.toContain('Failed password');
    expect(host.log.slice(before)).not.toContain('Accepted password');
  });

  test('the list of the administrator decides over what was pinned', async () => {
    const hostKeys = { ...policy, knownHosts: line('ed25519'), pinned: `${ADDRESS} ${publicKey('ed25519')}` };
    await using connection = await connectSsh(options({ hostKeys }));
    expect(connection.hostKey.trust).toBe('known');
  });

  test('a host that is not listed, once discovery is over', async () => {
    const hostKeys = { ...policy, unlisted: 'refuse' } as const;
    const error = await failureOf('ssh-host-key', () => connectSsh(options({ hostKeys })));
    expect(error.message).toContain(await host.hostKeyFingerprint('ed25519'));
  });
});

describe('where nobody answers', () => {
  test('a name that does not resolve', async () => {
    await failureOf('dns', () => connectSsh(options({ targets: [{ host: 'no-such-host.invalid', port: 22 }] })));
  });

  test('a port that is closed', async () => {
    const error = await failureOf('monitor-unreachable', () =>
      connectSsh(options({ targets: [{ host: ADDRESS, port: 9 }] })),
    );
    expect(error.message).toContain(`${ADDRESS}:9`);
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('something that is no SSH server', async () => {
    const server = createServer((socket) => socket.end('220 mail.example ESMTP\r\n'));
    await new Promise<void>((resolve) => server.listen(2525, ADDRESS, resolve));
    try {
      const error = await failureOf('ssh-protocol', () =>
        connectSsh(options({ targets: [{ host: ADDRESS, port: 2525 }] })),
      );
      expect(error.message).toContain('not an SSH server');
    } finally {
      server.close();
    }
  });

  test('an sshd that is frozen, and the next one that is not', async () => {
    await strict.freeze();
    try {
      const dead = { host: ADDRESS, port: 2222 };
      await failureOf('monitor-unreachable', () => connectSsh(options({ targets: [dead], deadline: soon(1500) })));
      const targets = [{ host: ADDRESS, port: 9 }, dead, { host: ADDRESS, port: 22 }];
      await using connection = await connectSsh(options({ targets, deadline: soon(6000) }));
      expect(connection.target).toEqual({ host: ADDRESS, port: 22 });
    } finally {
      strict.thaw();
    }
  });
});

describe('old servers', () => {
  test.each([
    { was: 'OpenSSH 5.0', kex: 'diffie-hellman-group-exchange-sha256', works: true },
    { was: 'an appliance', kex: 'diffie-hellman-group14-sha1', works: true },
    { was: 'what nobody should speak any more', kex: 'diffie-hellman-group1-sha1', works: false },
  ])('$was: $kex, aes128-ctr, hmac-sha1, ssh-rsa', async ({ kex, works }) => {
    const old = await SshHost.start(
      run,
      { network, address: ADDRESS },
      {
        users: [{ name: 'word', password: PASSWORD, sudo: 'none' }],
        name: `old-${kex}`,
        port: 2300,
        hostKeys: ['rsa'],
        sshdConfig: [`KexAlgorithms ${kex}`, 'Ciphers aes128-ctr', 'MACs hmac-sha1', 'HostKeyAlgorithms ssh-rsa'],
      },
    );
    try {
      const attempt = () => connectSsh(options({ targets: [{ host: ADDRESS, port: 2300 }] }));
      if (works) {
        await using connection = await attempt();
        expect((await connection.exec(['echo', 'hello'], { deadline: soon() })).stdout).toBe('hello\n');
      } else {
        const error = await failureOf('ssh-protocol', attempt);
        expect(error.message).toContain('no algorithm');
      }
    } finally {
      await old.stop();
    }
  });
});

describe('commands', () => {
  test('arguments arrive as they are, streams apart, and the exit code', async () => {
    await using connection = await connectSsh(options());
    const words = ['', ' ', "it's", '"q"', '$(id)', '`id`', '\\', 'a\nb', '*', '~', '!!', '-n', 'ünï', ';', '&', '#'];
    const script = 'for word; do printf "%s\\0" "$word"; done; echo oops >&2; exit 7';
    const outcome = await connection.exec(['sh', '-c', script, 'sh', ...words], { deadline: soon() });
    expect(outcome.stdout.split('\0').slice(0, -1)).toEqual(words);
    expect(outcome.stderr).toBe('oops\n');
    expect(outcome.end).toEqual({ kind: 'exit', code: 7 });
  });

  test('no terminal; stdin is what is given', async () => {
    await using connection = await connectSsh(options());
    const outcome = await connection.exec(['sh', '-c', 'tty; cat'], { deadline: soon(), stdin: 'one line\n' });
    expect(outcome.stdout).toBe('not a tty\none line\n');
  });

  test('a signal, a deadline, too much output; and the connection still serves', async () => {
    await using connection = await connectSsh(options());
    const killed = await connection.exec(['sh', '-c', 'kill -KILL $PPID'], { deadline: soon() });
    expect(killed.end).toEqual({ kind: 'signal', signal: 'SIGKILL' });
    const slow = await connection.exec(['sleep', '60'], { deadline: soon(300) });
    expect(slow.end).toEqual({ kind: 'timeout' });
    const endless = await connection.exec(['yes'], { deadline: soon() });
    expect(endless.end).toEqual({ kind: 'signal', signal: 'SIGPIPE' });
    expect((await connection.exec(['echo', 'alive'], { deadline: soon() })).stdout).toBe('alive\n');
  });

  test('several at once', async () => {
    await using connection = await connectSsh(options());
    const outcomes = await Promise.all(
      [1, 2, 3].map((n) => connection.exec(['echo', String(n)], { deadline: soon() })),
    );
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(['1\n', '2\n', '3\n']);
  });

  test('a connection that ends while a command runs', async () => {
    const connection = await connectSsh(options());
    const running = failureOf('ssh-protocol', () => connection.exec(['sleep', '60'], { deadline: soon() }));
    await connection.close();
    await running;
    await failureOf('ssh-protocol', () => connection.exec(['true'], { deadline: soon() }));
  });
});

function fingerprintOf(path: string): string {
  copyFileSync(`${path}.pub`, join(folder, 'one.pub'));
  const { stdout } = spawnSync('ssh-keygen', ['-l', '-f', join(folder, 'one.pub')], { encoding: 'utf8' });
  return stdout.split(' ')[1] ?? '';
}
