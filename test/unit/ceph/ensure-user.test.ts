import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { CephToolRunner } from '../../../src/ceph/control/tools/ceph-tool-runner.ts';
import type { ClusterKeyTypes } from '../../../src/ceph/control/cluster-key-types.ts';
import { ensureUser } from '../../../src/ceph/control/ensure-user.ts';
import { kernelKeys } from '../../../src/ceph/krbd/kernel-keys.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { decodeMonitorMap } from '../../../src/ceph/control/monitor-map.ts';
import { type Answer, ProgramStandIn, type Transcript } from '../../support/ceph-stand-in.ts';
import { failureOf } from '../../support/expect-error.ts';

const FIELD = join(import.meta.dirname, '../../fixtures/field/keys');
const field = (file: string): string => readFileSync(join(FIELD, file), 'utf8');
const typesOf = (file: string): ClusterKeyTypes | undefined => decodeMonitorMap(field(file)).keyTypes;
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-ensure-user-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NAME = 'rbdsr-0a1b2c';
const GET = `auth get client.${NAME} --format json`;
const CAPS = 'mon profile rbd osd profile rbd pool=xen --format json';
const MAKE = `auth get-or-create client.${NAME} ${CAPS}`;
const MAKE_AES = `auth get-or-create --key-type aes client.${NAME} ${CAPS}`;
const REMOVE = `auth rm client.${NAME}`;

// Captured: ceph 16.2.15.
const ABSENT: Answer = { stderr: `Error ENOENT: failed to find client.${NAME} in keyring\n`, exit: 2 };
const REMOVED: Answer = { stderr: 'updated\n' };
const OTHER_CAPS: Answer = {
  stderr: `Error EINVAL: key for client.${NAME} exists but cap osd does not match\n`,
  exit: 22,
};
// ceph src/mon/AuthMonitor.cc (get_cipher_type) at 19.2.6 and 20.2.4; not run here.
const REFUSED: Answer = { stderr: 'Error EINVAL: creating key with insecure key type ("aes") not allowed\n', exit: 22 };
const AES: Answer = { stdout: field('get-or-create-aes.json') };
const AES256K: Answer = { stdout: field('get-or-create-aes256k.json') };

/** On a host of XCP-ng 8, with a `ceph` that answers so. */
function host(transcript: Transcript, types: ClusterKeyTypes | undefined, release = '4.19.0+1') {
  const ceph = new ProgramStandIn(mkdtempSync(join(folder, 'bin-')), 'ceph', transcript);
  const access = clusterAccess({ monitors: '192.0.2.15', key: new Secret(field('aes.key')) });
  const tools = new CephToolRunner(access, { searchPath: [ceph.folder], runDir: join(folder, 'run') });
  const keys = kernelKeys(kernelTraits(release), async () => false);
  const ensure = (ms = 20_000) => ensureUser(tools, ['xen'], NAME, { keys, types }, Deadline.after(ms));
  return { ceph, ensure };
}

const BEFORE = typesOf('mon-dump-before.json');
const BOTH = typesOf('mon-dump-both.json');
const ONLY_AES256K = typesOf('mon-dump-aes256k-only.json');

describe('a user of our own', () => {
  test('where the cluster knows no types, no type is asked for: the option would be an error there', async () => {
    const { ceph, ensure } = host({ [GET]: ABSENT, [MAKE]: AES }, BEFORE);
    expect((await ensure()).user).toBe(NAME);
    expect(ceph.calls).toEqual([GET, MAKE]);
  });

  test('is made with a key of type aes, whatever the cluster prefers', async () => {
    const { ceph, ensure } = host({ [GET]: ABSENT, [MAKE_AES]: AES }, BOTH);
    expect((await ensure()).key.reveal()).toMatch(/^AQ/);
    expect(ceph.calls).toEqual([GET, MAKE_AES]);
  });

  test('is not made, nor looked for, where the cluster allows no key that the kernel can use', async () => {
    const { ceph, ensure } = host({}, ONLY_AES256K);
    await failureOf('cluster-incompatible', ensure);
    expect(ceph.calls).toEqual([]);
  });

  test('gets the type that such a cluster allows where the kernel can use it', async () => {
    const make = MAKE_AES.replace('aes', 'aes256k');
    const { ceph, ensure } = host({ [GET]: ABSENT, [make]: AES256K }, ONLY_AES256K, '7.0.0');
    expect((await ensure()).key.reveal()).toMatch(/^Ag/);
    expect(ceph.calls).toEqual([GET, make]);
  });

  test('that came out of another type is removed again, and not handed on', async () => {
    const { ceph, ensure } = host({ [GET]: ABSENT, [MAKE]: AES256K, [REMOVE]: REMOVED }, BEFORE);
    const error = await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).toEqual([GET, MAKE, REMOVE]);
    expect(error.message).toContain('has removed it again');
    expect(error.message).toContain('`ceph mon set auth_preferred_cipher aes`');
    const secret = (JSON.parse(field('get-or-create-aes256k.json')) as { key: string }[])[0]?.key ?? '';
    expect(JSON.stringify([error.message, error.detail])).not.toContain(secret.slice(12));
  });

  test('is not removed where its type shows that another host has made it meanwhile', async () => {
    const { ceph, ensure } = host({ [GET]: ABSENT, [MAKE_AES]: AES256K, [REMOVE]: REMOVED }, BOTH);
    await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).toEqual([GET, MAKE_AES]);
  });

  test('that could not be removed again is named with the command', async () => {
    const refused: Answer = { stderr: 'Error EBUSY: x\n', exit: 16 };
    const { ensure } = host({ [GET]: ABSENT, [MAKE]: AES256K, [REMOVE]: refused }, BEFORE);
    expect((await failureOf('kernel-unsupported', ensure)).message).toContain(`\`ceph auth rm client.${NAME}\``);
  });
});

describe('a user that is there', () => {
  test.each([
    ['before there were types', BEFORE],
    ['with types', BOTH],
  ])('keeps its key and its capabilities, in a cluster %s', async (_when, types) => {
    const { ceph, ensure } = host({ [GET]: AES }, types);
    expect((await ensure()).key.reveal()).toMatch(/^AQ/);
    expect(ceph.calls).toEqual([GET]);
  });

  test('with a key that the kernel cannot use stays as it is, and is named', async () => {
    const { ceph, ensure } = host({ [GET]: AES256K }, BOTH);
    const error = await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).toEqual([GET]);
    expect(error.message).toContain(`\`ceph auth rotate --key-type aes client.${NAME}\``);
  });

  test('with a key by which the cluster lets nobody in is named with the setting', async () => {
    const { ceph, ensure } = host({ [GET]: AES }, ONLY_AES256K, '7.0.0');
    const error = await failureOf('cluster-incompatible', ensure);
    expect(ceph.calls).toEqual([GET]);
    expect(error.message).toContain(`client.${NAME} is of type aes, which the cluster does not allow`);
    expect(error.message).toContain('`ceph mon set auth_allowed_ciphers aes,aes256k`');
  });

  test('since another host has made it a moment ago', async () => {
    const { ceph, ensure } = host({ [GET]: [ABSENT, AES], [MAKE]: OTHER_CAPS }, BEFORE);
    expect((await ensure()).user).toBe(NAME);
    expect(ceph.calls).toEqual([GET, MAKE, GET]);
  });

  test('of another host, and with a key of no use, is not removed', async () => {
    const { ceph, ensure } = host({ [GET]: [ABSENT, AES256K], [MAKE_AES]: OTHER_CAPS }, BOTH);
    await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).not.toContain(REMOVE);
  });
});

describe('monitors that refuse the type', () => {
  test('for some seconds, after the setting was changed or a leader elected, are asked again', async () => {
    const { ceph, ensure } = host({ [GET]: ABSENT, [MAKE_AES]: [REFUSED, REFUSED, AES] }, BOTH);
    expect((await ensure()).user).toBe(NAME);
    expect(ceph.calls.filter((call) => call === MAKE_AES)).toHaveLength(3);
  });

  test('for good, although they allow it, are named with the setting', async () => {
    const { ensure } = host({ [GET]: ABSENT, [MAKE_AES]: REFUSED }, BOTH);
    const { message } = await failureOf('cluster-incompatible', () => ensure(6000));
    expect(message).toContain('creating key with insecure key type');
    expect(message).toContain('mon_auth_allow_insecure_key');
  });

  test('any other refusal is told as it is', async () => {
    const { ensure } = host({ [GET]: ABSENT, [MAKE]: REFUSED }, BEFORE);
    await failureOf('control-plane-failed', ensure);
    const denied = host({ [GET]: { stderr: 'x', exit: 13 } }, BOTH);
    await failureOf('cluster-auth', denied.ensure);
  });
});
