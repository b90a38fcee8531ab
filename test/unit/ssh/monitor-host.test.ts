import { describe, expect, test } from 'vitest';
import { remoteFailure } from '../../../src/ceph/control/ssh/monitor-host-errors.ts';
import { remoteArgv, scriptOutput } from '../../../src/ceph/control/ssh/monitor-host-script.ts';
import { decodeMonitorMap } from '../../../src/ceph/control/monitor-map.ts';
import { decodeUser, leastCapabilities, ownEntity, poolCapabilities } from '../../../src/ceph/control/own-user.ts';
import { failureOf } from '../../support/expect-error.ts';

const KEY = 'AQCkeQVrWn+lABAANPjYUVTIDztN1eIp84LwSg==';

/** A call that ended with this code and said this on stderr. */
function ended(program: 'rbd' | 'ceph', code: number, stderr: string) {
  const end = { kind: 'exit', code } as const;
  const outcome = { program, args: [], end, stdout: '', stderr, durationMs: 1 };
  return { outcome, program, command: `${program} ls`, user: 'admin', cluster: 'the cluster at m' } as const;
}

describe('the remote command', () => {
  test('names are arguments of the script, never part of it', () => {
    const [sh, flag, script, ...rest] = remoteArgv('rbd', ['info', '--image=$(reboot)'], true);
    expect([sh, flag]).toEqual(['sh', '-c']);
    expect(script).not.toContain('reboot');
    expect(rest).toEqual(['rbdsr', 'password', '0', 'all', 'rbd', 'info', '--image=$(reboot)']);
  });

  test.each([
    ['rbdsr-begin keyring\n[]\n', { stdout: '[]\n', keyring: true }],
    ['Welcome!\n{}\nrbdsr-begin no-keyring\n', { stdout: '', keyring: false }],
    ['rbdsr-begin keyring\nrbdsr-begin no-keyring\n', { stdout: 'rbdsr-begin no-keyring\n', keyring: true }],
    ['This account is currently not available.\n', undefined],
    ['', undefined],
  ])('of %j the program said', (output, said) => {
    expect(scriptOutput(output)).toEqual(said);
  });
});

// Captured on Debian 12 (sudo 1.9.13, ceph 16.2.15) unless a line says otherwise.
describe('how a call failed', () => {
  test.each([
    ['ceph', 201, '', 'control-plane-missing'],
    ['ceph', 202, '', 'control-plane-missing'],
    ['ceph', 203, '', 'sudo-refused'],
    ['ceph', 1, 'sudo: a password is required\n', 'sudo-refused'],
    // sudo 1.7
    ['ceph', 1, 'sudo: sorry, a password is required to run sudo\n', 'sudo-refused'],
    ['ceph', 1, 'sudo: sorry, you must have a tty to run sudo\n', 'sudo-refused'],
    [
      'ceph',
      1,
      'Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n',
      'sudo-refused',
    ],
    ['rbd', 1, 'none is not in the sudoers file.\n', 'sudo-refused'],
    ['rbd', 1, "Sorry, user x is not allowed to execute '/usr/bin/rbd ls' as root on host.\n", 'sudo-refused'],
    ['ceph', 1, 'sudo: unable to open audit system: Operation not permitted\n', 'sudo-refused'],
    ['ceph', 1, 'timed out\n', 'quorum-lost'],
    ['ceph', 1, 'sudo: unable to resolve host mon1: Name or service not known\ntimed out\n', 'quorum-lost'],
    ['ceph', 1, 'sudo: unable to resolve host mon1: Name or service not known\n', 'control-plane-failed'],
    ['ceph', 1, 'sudo: some remark\ntimed out\n', 'quorum-lost'],
    ['ceph', 1, `${'sudo: '.repeat(600)}\ntimed out\n`, 'quorum-lost'],
    ['ceph', 1, 'sudo: account validation failure\n\nsudo: is the account locked?\n', 'sudo-refused'],
    ['ceph', 1, 'sudo: unable to resolve host m: x\nsudo: a password is required\n', 'sudo-refused'],
    ['ceph', 110, '[errno 110] RADOS timed out (error connecting to the cluster)\n', 'quorum-lost'],
    [
      'rbd',
      110,
      "rbd: couldn't connect to the cluster!\nrbd: listing images failed: (110) Connection timed out\n",
      'quorum-lost',
    ],
    ['rbd', 110, 'rbd: error opening image x: (110) Connection timed out\n', 'osd-unresponsive'],
    ['ceph', 1, 'Error initializing cluster client: conf_read_file\n', 'admin-key-missing'],
    ['ceph', 13, '[errno 13] RADOS permission denied (error connecting to the cluster)\n', 'cluster-auth'],
    ['ceph', 22, 'Error EINVAL: key for client.rbdsr-x exists but cap osd does not match\n', 'control-plane-failed'],
    ['ceph', 1, 'anything else\n', 'control-plane-failed'],
  ] as const)('%s, exit code %d, %j', (program, code, stderr, expected) => {
    const error = remoteFailure(ended(program, code, stderr), { user: 'me', host: '10.0.0.11:22' }, true);
    expect(error.code).toBe(expected);
  });

  test('permission denied where there is no keyring file is about the keyring', () => {
    const call = ended('ceph', 13, '[errno 13] RADOS permission denied (error connecting to the cluster)\n');
    expect(remoteFailure(call, { user: 'me', host: 'h' }, false).code).toBe('admin-key-missing');
  });
});

describe('the monitor map', () => {
  test('of Nautilus and later: both protocols', () => {
    const addrvec = [
      { type: 'v2', addr: '[fd00::1]:3300', nonce: 0 },
      { type: 'v1', addr: '[fd00::1]:6790', nonce: 0 },
    ];
    const text = JSON.stringify({ fsid: 'f', mons: [{ name: 'a', public_addrs: { addrvec }, addr: 'x' }] });
    expect(decodeMonitorMap(text)).toEqual({
      fsid: 'f',
      monitors: [
        {
          name: 'a',
          v1: { kind: 'ipv6', host: 'fd00::1', port: 6790 },
          v2: { kind: 'ipv6', host: 'fd00::1', port: 3300 },
        },
      ],
    });
  });

  test('before Nautilus: one address', () => {
    const text = JSON.stringify({ fsid: 'f', mons: [{ rank: 0, name: 'a', addr: '10.0.0.11:6789/0' }] });
    expect(decodeMonitorMap(text).monitors).toEqual([
      { name: 'a', v1: { kind: 'ipv4', host: '10.0.0.11', port: 6789 } },
    ]);
  });

  test('a monitor that has no address yet is left out', () => {
    const blank = ['0.0.0.0:0/1', '0.0.0.0:0/0', ':/0', '-', '[::]:0/0', '0.0.0.0:6789/0'];
    const mons = blank.map((addr, rank) => ({ rank, name: `b${rank}`, addr }));
    const vectors = blank.map((addr) => ({ name: 'c', public_addrs: { addrvec: [{ type: 'v2', addr, nonce: 0 }] } }));
    const whole = { name: 'a', addr: '10.0.0.11:6789/0' };
    expect(decodeMonitorMap(JSON.stringify({ fsid: 'f', mons: [...mons, whole, ...vectors] })).monitors).toEqual([
      { name: 'a', v1: { kind: 'ipv4', host: '10.0.0.11', port: 6789 } },
    ]);
  });

  test.each(['', '{}', '{"fsid":"f","mons":[]}', '{"mons":[{"name":"a","addr":"10.0.0.1:6789/0"}]}'])(
    '%j is not understood',
    async (text) => {
      await failureOf('control-plane-failed', () => decodeMonitorMap(text));
    },
  );
});

describe('a user of our own', () => {
  test('its capabilities name one pool', async () => {
    expect(leastCapabilities(['rbd'])).toEqual(['mon', 'profile rbd', 'osd', 'profile rbd pool=rbd']);
    const [kind, monitors = '', ...more] = poolCapabilities(['rbd']);
    expect([kind, ...more]).toEqual(['mon', 'osd', 'profile rbd pool=rbd']);
    expect(monitors.split(', ')).toEqual([
      'profile rbd',
      'allow command "osd blocklist" with blocklistop=rm',
      'allow command "osd blacklist" with blacklistop=rm',
    ]);
    expect(poolCapabilities(['rbd', 'ec data']).at(-1)).toBe('profile rbd pool=rbd, profile rbd pool="ec data"');
    expect(poolCapabilities(['a b, allow *']).at(-1)).toBe('profile rbd pool="a b, allow *"');
    expect(poolCapabilities(['say "x"']).at(-1)).toBe(`profile rbd pool='say "x"'`);
    await failureOf('image-unmappable', () => poolCapabilities([`both ' and "`]));
    await failureOf('image-unmappable', () => poolCapabilities(['a\nb']));
    await failureOf('image-unmappable', () => poolCapabilities(['größe']));
  });

  test.each(['admin', 'rbdsr-', 'rbdsr-X', 'rbdsr-a b', `rbdsr-${'a'.repeat(70)}`])('%j is none', async (name) => {
    await failureOf('invalid-argument', () => ownEntity(name));
  });

  test('no error quotes the answer that holds the key', async () => {
    const [entry] = [{ entity: 'client.rbdsr-x', key: KEY }];
    expect(decodeUser(JSON.stringify([entry]), 'rbdsr-x').key.reveal()).toBe(KEY);
    const error = await failureOf('control-plane-failed', () => decodeUser(`${KEY} is not JSON`, 'rbdsr-x'));
    expect(JSON.stringify([error.message, error.detail])).not.toContain(KEY.slice(0, 12));
  });
});
