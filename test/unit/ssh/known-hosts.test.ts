import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fingerprintOf, hostKeyOf } from '../../../src/system/ssh/ssh-host-key.ts';
import type { HostKey } from '../../../src/system/ssh/ssh-host-key.ts';
import { expectedTypes, judgeHostKey } from '../../../src/system/ssh/ssh-host-key-policy.ts';
import type { HostKeyPolicy } from '../../../src/system/ssh/ssh-host-key-policy.ts';
import { knownHostLine, knownKeysOf } from '../../../src/system/ssh/ssh-known-hosts.ts';
import { failureOf } from '../../support/expect-error.ts';

// Made with ssh-keygen 9.2 for this test; ssh-keygen -l printed the fingerprints.
const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIDa4k23JlJ4MC7te9B7jl3Oh4G7ijAAH+W1UUFXYFea9';
const OTHER = 'AAAAC3NzaC1lZDI1NTE5AAAAIH4TB/3fkJfyw9bge62X+6M4IG7+FlksGxirbF1PYqU6';
const ECDSA =
  'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBP7zpQwGDs+DumjbWYn+hy4ZlN6Lu98Moi8h9QPZ0PNLp8OCBMQYEQIvpgjfsbVPOochInak6+usZAWgYU9izs4=';
const ED25519_PRINT = 'SHA256:icAss+b4xYTyB5RFFCdg7NQfRvS+tkYRtoGTBIcLPbg';

const target = { host: '10.0.0.11', port: 22 };
const other = { host: '10.0.0.11', port: 2222 };

function key(base64: string): HostKey {
  const found = hostKeyOf(Buffer.from(base64, 'base64'));
  if (found === undefined) throw new Error('not a key');
  return found;
}

function policy(changes: Partial<HostKeyPolicy>): HostKeyPolicy {
  return { knownHosts: '', knownHostsPath: '/etc/rbdsr/known_hosts', unlisted: 'accept', ...changes };
}

function hashed(name: string): string {
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

test('the fingerprint is the one ssh-keygen prints', () => {
  expect(fingerprintOf(key(ED25519))).toBe(ED25519_PRINT);
});

test.each(['', 'AAAA', 'AAAAB3Nz', '////////'])('%j is no key', (base64) => {
  expect(hostKeyOf(Buffer.from(base64, 'base64'))).toBeUndefined();
});

describe('which lines count for a host', () => {
  test.each([
    ['10.0.0.11', true],
    ['mon.example,10.0.0.11', true],
    ['10.0.0.*', true],
    ['10.0.0.1?', true],
    ['*', true],
    ['10.0.0.*,!10.0.0.11', false],
    ['!10.0.0.12,10.0.0.*', true],
    ['10.0.0.1', false],
    ['10a0b0c11', false],
    ['[10.0.0.11]:2222', false],
    ['[10.0.0.11]:22', false],
    ['|1|broken', false],
    ['|2|x|y', false],
  ])('%s: %s', (patterns, counts) => {
    expect(knownKeysOf(`${patterns} ssh-ed25519 ${ED25519} comment\n`, target)).toHaveLength(counts ? 1 : 0);
  });

  test('another port has another name, hashed ones too', () => {
    const text = `[10.0.0.11]:2222 ssh-ed25519 ${ED25519}\n${hashed('[10.0.0.11]:2222')} ssh-ed25519 ${OTHER}\n`;
    expect(knownKeysOf(text, other)).toHaveLength(2);
    expect(knownKeysOf(text, target)).toHaveLength(0);
    expect(knownKeysOf(`${hashed('10.0.0.11')} ssh-ed25519 ${ED25519}`, target)).toHaveLength(1);
  });

  test('names are compared without regard to case', () => {
    const host = { host: 'Mon.Example', port: 22 };
    expect(knownKeysOf(`mon.EXAMPLE ssh-ed25519 ${ED25519}`, host)).toHaveLength(1);
  });

  test.each([
    '',
    '# 10.0.0.11 ssh-ed25519 AAAA',
    '10.0.0.11',
    '10.0.0.11 ssh-ed25519',
    '10.0.0.11 ssh-ed25519 !!!',
    `10.0.0.11 ssh-rsa ${ED25519}`,
    `@cert-authority * ssh-ed25519 ${ED25519}`,
    `@unheard-of * ssh-ed25519 ${ED25519}`,
    `10.0.0.11 1024 35 ${ED25519}`,
  ])('%j counts for nobody', (line) => {
    expect(knownKeysOf(`${line}\n`, target)).toEqual([]);
  });

  test('the line that is pinned is found again', () => {
    for (const place of [target, other, { host: 'fd00::1', port: 22 }]) {
      const [found] = knownKeysOf(knownHostLine(place, key(ED25519)), place);
      expect(found?.key.blob.toString('base64')).toBe(ED25519);
    }
  });
});

describe('the verdict', () => {
  const ours = `10.0.0.11 ssh-ed25519 ${ED25519}`;
  const theirs = `10.0.0.11 ssh-ed25519 ${OTHER}`;

  test('listed and right; one of several is enough', () => {
    expect(judgeHostKey(policy({ knownHosts: ours }), target, key(ED25519)).trust).toBe('known');
    expect(judgeHostKey(policy({ knownHosts: `${theirs}\n${ours}` }), target, key(ED25519)).trust).toBe('known');
  });

  test('listed and different names both fingerprints and the line', async () => {
    const knownHosts = `# comment\n${ours}\n`;
    const error = await failureOf('ssh-host-key', () => judgeHostKey(policy({ knownHosts }), target, key(OTHER)));
    expect(error.message).toContain(ED25519_PRINT);
    expect(error.message).toContain(fingerprintOf(key(OTHER)));
    expect(error.message).toContain('/etc/rbdsr/known_hosts line 2');
  });

  test('a key of a type that is not listed is different, too', async () => {
    await failureOf('ssh-host-key', () => judgeHostKey(policy({ knownHosts: ours }), target, key(ECDSA)));
  });

  test('pinned and right, pinned and different', async () => {
    expect(judgeHostKey(policy({ pinned: ours }), target, key(ED25519)).trust).toBe('pinned');
    const error = await failureOf('ssh-host-key', () => judgeHostKey(policy({ pinned: ours }), target, key(OTHER)));
    expect(error.message).toContain('kept from an earlier connection');
  });

  test("the administrator's list decides over what was pinned", async () => {
    const both = policy({ knownHosts: ours, pinned: theirs });
    expect(judgeHostKey(both, target, key(ED25519)).trust).toBe('known');
    await failureOf('ssh-host-key', () => judgeHostKey(both, target, key(OTHER)));
  });

  test.each(['knownHosts', 'pinned'] as const)('revoked in %s is never accepted', async (where) => {
    const text = `@revoked * ssh-ed25519 ${ED25519}`;
    const error = await failureOf('ssh-host-key', () => judgeHostKey(policy({ [where]: text }), target, key(ED25519)));
    expect(error.message).toContain('@revoked');
    const listed = policy({ knownHosts: ours, [where]: `${ours}\n${text}` });
    await failureOf('ssh-host-key', () => judgeHostKey(listed, target, key(ED25519)));
    expect(judgeHostKey(policy({ [where]: text }), target, key(OTHER)).trust).toBe('new');
  });

  test('listed nowhere: accepted while looking, refused later', async () => {
    const seen = judgeHostKey(policy({}), target, key(ED25519));
    expect(seen).toEqual({ trust: 'new', type: 'ssh-ed25519', fingerprint: ED25519_PRINT, line: ours });
    await failureOf('ssh-host-key', () => judgeHostKey(policy({ unlisted: 'refuse' }), target, key(ED25519)));
  });

  test('the types to ask for are those that will be compared', () => {
    expect(expectedTypes(policy({ pinned: ours }), target)).toEqual(['ssh-ed25519']);
    const knownHosts = `10.0.0.11 ecdsa-sha2-nistp256 ${ECDSA}`;
    expect(expectedTypes(policy({ knownHosts, pinned: ours }), target)).toEqual(['ecdsa-sha2-nistp256']);
    expect(expectedTypes(policy({}), target)).toEqual([]);
  });
});
