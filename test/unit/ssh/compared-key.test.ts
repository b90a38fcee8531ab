import { expect, test } from 'vitest';
import { fingerprintOf, type HostKey } from '../../../src/system/ssh/ssh-host-key.ts';
import { judgeHostKey } from '../../../src/system/ssh/ssh-host-key-policy.ts';
import { knownHostLine } from '../../../src/system/ssh/ssh-known-hosts.ts';
import { failureOf } from '../../support/expect-error.ts';

const target = { host: '10.0.0.1', port: 22 };
const keyOf = (fill: number): HostKey => {
  const type = Buffer.from('ssh-ed25519');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return { type: 'ssh-ed25519', blob: Buffer.concat([length, type, Buffer.alloc(36, fill)]) };
};
const [old, shown, third] = [keyOf(1), keyOf(2), keyOf(3)] as const;
const policy = { knownHosts: '', knownHostsPath: 'known_hosts', unlisted: 'refuse' } as const;
const compared = fingerprintOf(shown);

test.each([
  ['a host nobody knows', {}],
  ['a host whose key was pinned', { pinned: knownHostLine(target, old) }],
])('a fingerprint that was compared lets in %s', (_what, more) => {
  expect(judgeHostKey({ ...policy, ...more, compared }, target, shown)).toMatchObject({
    fingerprint: compared,
    line: knownHostLine(target, shown),
  });
});

test.each([
  ['another key than the one that was compared', {}, third],
  ['a host that the file lists with another key', { knownHosts: knownHostLine(target, old) }, shown],
  ['a key that is revoked', { knownHosts: `@revoked ${knownHostLine(target, shown)}` }, shown],
])('it does not let in %s', async (_what, more, key) => {
  await failureOf('ssh-host-key', () => judgeHostKey({ ...policy, ...more, compared }, target, key));
});
