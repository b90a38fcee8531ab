import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { Secret } from '../../../src/base/secret.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { checkKey, keyTypeOf, sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { describeKeyTypes, keyTypeFor } from '../../../src/ceph/control/cluster-key-types.ts';
import { type KernelKeys, kernelKeys, kernelTakes, refuseUnusableKey } from '../../../src/ceph/krbd/kernel-keys.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { decodeMonitorMap } from '../../../src/ceph/control/monitor-map.ts';
import { failureOf } from '../../support/expect-error.ts';

const FIELD = join(import.meta.dirname, '../../fixtures/field');
const field = (file: string): string => readFileSync(join(FIELD, file), 'utf8');
const soon = (): Deadline => Deadline.after(5000);

interface Entry {
  readonly file: string;
  readonly what: string;
  readonly command: string;
  readonly given: { readonly kernel: string };
  readonly right: { readonly refused?: boolean };
}

const TAKEN = (JSON.parse(field('cluster.json')) as Entry[]).filter(({ command }) => command === 'take a key');

/** A kernel whose keyring takes, or refuses, keys of type aes256k. */
function kernel(release: string, takes = false): KernelKeys {
  return kernelKeys(kernelTraits(release), async () => takes);
}

async function take(file: string, keys: KernelKeys): Promise<void> {
  const access = clusterAccess({ monitors: '192.0.2.15', user: 'xen', key: new Secret(field(file)) });
  await refuseUnusableKey(access, keys, soon());
}

test('there are keys to take', () => expect(TAKEN).toHaveLength(5));

test.each(TAKEN)('$file, $what: refused $right.refused', async ({ file, given, right }) => {
  const outcome = await take(file, kernel(given.kernel)).then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  expect(outcome !== undefined).toBe(right.refused);
  expect(outcome?.message ?? '').not.toContain(field(file).trim().slice(4, 30));
});

describe('a key of type aes256k', () => {
  test('is refused by name, and the way out with it', async () => {
    const error = await failureOf('kernel-unsupported', () => take('keys/aes256k.key', kernel('4.19.0+1')));
    for (const part of ['type aes256k', 'client.xen', 'Linux 4.19.0+1', 'Linux 7.0'])
      expect(error.message).toContain(part);
    expect(error.message).toContain('`ceph auth rotate --key-type aes client.xen`');
    expect(error.message).toContain('ceph auth get-or-create --key-type aes client.NAME');
    expect(error.message).toContain('`ceph mon set auth_allowed_ciphers aes,aes256k`');
  });

  test.each<[string, boolean, boolean]>([
    ['3.10.0+2', false, false],
    // Before 4.10 a keyring takes any key: that proves nothing.
    ['3.10.0+2', true, false],
    ['4.4.0+10', true, false],
    ['4.19.0+1', false, false],
    ['6.18.44', false, false],
    // A distribution has it backported.
    ['5.14.0-611.el9', true, true],
    ['4.19.0+1', true, true],
    ['7.0.0', false, true],
    ['7.1.2-xen', false, true],
  ])('Linux %s, whose keyring says %s: usable %s', async (release, takes, isUsable) => {
    const outcome = take('keys/aes256k.key', kernel(release, takes));
    if (isUsable) await outcome;
    else await failureOf('kernel-unsupported', () => outcome);
  });

  test('no kernel is asked about a key that all can use', async () => {
    const keys = kernelKeys(kernelTraits('4.19.0+1'), async () => {
      throw new Error('asked');
    });
    await take('keys/aes.key', keys);
  });
});

describe('what is no key of its type', () => {
  const refusal = (file: string) => failureOf('invalid-secret', () => checkKey(new Secret(field(file)), 'the key'));

  test('a type that nobody knows is named', async () => {
    expect((await refusal('keys/type-9.key')).message).toContain('found type 9');
  });

  test('a relabelled key: half of it would be used', async () => {
    const { message } = await refusal('keys/aes-relabelled.key');
    expect(message).toContain('expected a secret of 16 bytes, as type aes has; found 32 bytes');
  });
});

test.each([
  ['ENOTSUPP', 'internal'],
  ['EINVAL', 'internal'],
  ['ENODEV', 'kernel-unsupported'],
] as const)('a kernel that refuses a key with %s does not take its type', async (errno, code) => {
  const add = () => Promise.reject(new RbdsrError(code, { what: 'refused', facts: { errno } }));
  expect(await kernelTakes('aes256k', add)).toBe(false);
});

test.each(['EDQUOT', 'ENOMEM', 'EACCES'])('%s says nothing of types: it is passed on', async (errno) => {
  const add = () => Promise.reject(new RbdsrError('internal', { what: `refused (${errno})`, facts: { errno } }));
  expect((await failureOf('internal', () => kernelTakes('aes256k', add))).message).toContain(errno);
});

test('the sample by which a kernel is asked is a key of that type', () => {
  for (const type of ['aes', 'aes256k'] as const) expect(keyTypeOf(checkKey(sampleKey(type), 'it'))).toBe(type);
});

describe('what a cluster allows', () => {
  const typesOf = (file: string) => decodeMonitorMap(field(file)).keyTypes;

  test('a cluster from before there were types: nothing is said, nothing is asked for', async () => {
    expect(typesOf('keys/mon-dump-before.json')).toBeUndefined();
    expect(await keyTypeFor(undefined, kernel('4.19.0+1'), soon())).toBeUndefined();
  });

  test('one that allows aes and makes aes256k is asked for aes, whatever the kernel', async () => {
    const types = typesOf('keys/mon-dump-both.json');
    expect(types).toEqual({ allowed: ['aes', 'aes256k'], preferred: 'aes256k', service: 'aes256k' });
    for (const release of ['3.10.0+2', '4.19.0+1', '7.0.0']) {
      expect(await keyTypeFor(types, kernel(release), soon())).toBe('aes');
    }
    expect(describeKeyTypes(types)).toContain('allows cephx keys of type aes and aes256k');
  });

  test('one that allows no aes: said before a user is made, with the command and its price', async () => {
    const types = typesOf('keys/mon-dump-aes256k-only.json');
    const { message } = await failureOf('cluster-incompatible', () => keyTypeFor(types, kernel('4.19.0+1'), soon()));
    for (const part of ['Linux 4.19.0+1', 'found aes256k', '`ceph mon set auth_allowed_ciphers aes,aes256k`']) {
      expect(message).toContain(part);
    }
    expect(message).toContain('CVE-2025-30156');
    expect(await keyTypeFor(types, kernel('7.0.0'), soon())).toBe('aes256k');
    expect(await keyTypeFor(types, kernel('5.14.0-611.el9', true), soon())).toBe('aes256k');
  });

  test('members of another shape are not guessed at, and cost nothing else that is known of the cluster', () => {
    const map = JSON.parse(field('keys/mon-dump-both.json')) as Record<string, unknown>;
    const { keyTypes: _known, ...others } = decodeMonitorMap(field('keys/mon-dump-both.json'));
    for (const change of [
      { auth_allowed_ciphers: 'aes' },
      { auth_preferred_cipher: 2 },
      { auth_preferred_cipher: undefined },
      { auth_allowed_ciphers: [{}] },
      { auth_allowed_ciphers: [] },
    ]) {
      expect(decodeMonitorMap(JSON.stringify({ ...map, ...change }))).toEqual(others);
    }
    expect(describeKeyTypes(undefined)).toContain('a way that RBDSR does not know');
  });
});
