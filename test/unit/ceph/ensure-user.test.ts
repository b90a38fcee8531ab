import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { CephToolRunner } from '../../../src/ceph/control/tools/ceph-tool-runner.ts';
import type { ClusterKeyTypes } from '../../../src/ceph/control/cluster-key-types.ts';
import { ensureUser } from '../../../src/ceph/control/ensure-user.ts';
import { kernelKeys } from '../../../src/ceph/krbd/kernel-keys.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { decodeMonitorMap } from '../../../src/ceph/control/monitor-map.ts';
import { failureOf } from '../../support/expect-error.ts';
import { cephStandIn, type CephStandInOptions } from '../../support/stand-ins/recorded-ceph.ts';

const FIELD = join(import.meta.dirname, '../../fixtures/field/keys');
const field = (file: string): string => readFileSync(join(FIELD, file), 'utf8');
const typesOf = (file: string): ClusterKeyTypes | undefined => decodeMonitorMap(field(file)).keyTypes;
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-ensure-user-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NAME = 'rbdsr-0a1b2c';
const GET = `ceph auth get client.${NAME} --format json`;
const UNFENCE = 'allow command "osd blocklist" with blocklistop=rm, allow command "osd blacklist" with blacklistop=rm';
const CAPS = `mon profile rbd, ${UNFENCE} osd profile rbd pool=xen --format json`;
const MAKE = `ceph auth get-or-create client.${NAME} ${CAPS}`;
const MAKE_AES = `ceph auth get-or-create --key-type aes client.${NAME} ${CAPS}`;
const REMOVE = `ceph auth rm client.${NAME}`;

/** What somebody else has made meanwhile. */
const AES256K = 'user with a key of type aes256k';
const TODAY = { version: '19.2.6' };

/** On a host of XCP-ng 8, with `ceph` of a cluster in that state. */
function host(
  { state = 'no user', ...standIn }: Partial<CephStandInOptions>,
  types: ClusterKeyTypes | undefined,
  release = '4.19.0+1',
) {
  const ceph = cephStandIn(mkdtempSync(join(folder, 'bin-')), { state, ...standIn });
  const access = clusterAccess({ monitors: '192.0.2.15', key: sampleKey('aes') });
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
    const { ceph, ensure } = host({}, BEFORE);
    expect((await ensure()).user).toBe(NAME);
    expect(ceph.calls).toEqual([GET, MAKE]);
  });

  test('is made with a key of type aes, whatever the cluster prefers', async () => {
    const { ceph, ensure } = host(TODAY, BOTH);
    expect((await ensure()).key.reveal()).toMatch(/^AQ/);
    expect(ceph.calls).toEqual([GET, MAKE_AES]);
  });

  test('is not made, nor looked for, where the cluster allows no key that the kernel can use', async () => {
    const { ceph, ensure } = host(TODAY, ONLY_AES256K);
    await failureOf('cluster-incompatible', ensure);
    expect(ceph.calls).toEqual([]);
  });

  test('gets the type that such a cluster allows where the kernel can use it', async () => {
    const make = MAKE_AES.replace('aes', 'aes256k');
    const { ceph, ensure } = host(TODAY, ONLY_AES256K, '7.0.0');
    expect((await ensure()).key.reveal()).toMatch(/^Ag/);
    expect(ceph.calls).toEqual([GET, make]);
  });

  test('that came out of another type is removed again, and not handed on', async () => {
    const { ceph, ensure } = host(TODAY, BEFORE);
    const error = await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).toEqual([GET, MAKE, REMOVE]);
    expect(error.message).toContain('has removed it again');
    expect(error.message).toContain('`ceph mon set auth_preferred_cipher aes`');
    const secret = (JSON.parse(field('get-or-create-aes256k.json')) as { key: string }[])[0]?.key ?? '';
    expect(JSON.stringify([error.message, error.detail])).not.toContain(secret.slice(12));
  });

  test('is not removed where its type shows that another host has made it meanwhile', async () => {
    const { ceph, ensure } = host({ ...TODAY, meanwhile: { 1: AES256K } }, BOTH);
    await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).toEqual([GET, MAKE_AES]);
  });

  test('that could not be removed again is named with the command', async () => {
    const { ceph, ensure } = host({ ...TODAY, state: 'may not remove' }, BEFORE);
    expect((await failureOf('kernel-unsupported', ensure)).message).toContain(`\`ceph auth rm client.${NAME}\``);
    expect(ceph.calls).toEqual([GET, MAKE, REMOVE]);
  });
});

describe('a user that is there', () => {
  test.each([
    ['before there were types', BEFORE],
    ['with types', BOTH],
  ])('keeps its key and its capabilities, in a cluster %s', async (_when, types) => {
    const { ceph, ensure } = host({ state: 'user' }, types);
    expect((await ensure()).key.reveal()).toMatch(/^AQ/);
    expect(ceph.calls).toEqual([GET]);
  });

  test('with a key that the kernel cannot use stays as it is, and is named', async () => {
    const { ceph, ensure } = host({ ...TODAY, state: AES256K }, BOTH);
    const error = await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).toEqual([GET]);
    expect(error.message).toContain(`\`ceph auth rotate --key-type aes client.${NAME}\``);
  });

  test('with a key by which the cluster lets nobody in is named with the setting', async () => {
    const { ceph, ensure } = host({ ...TODAY, state: 'user' }, ONLY_AES256K, '7.0.0');
    const error = await failureOf('cluster-incompatible', ensure);
    expect(ceph.calls).toEqual([GET]);
    expect(error.message).toContain(`client.${NAME} is of type aes, which the cluster does not allow`);
    expect(error.message).toContain('`ceph mon set auth_allowed_ciphers aes,aes256k`');
  });

  test('since another host has made it a moment ago', async () => {
    const { ceph, ensure } = host({ meanwhile: { 1: 'user with other capabilities' } }, BEFORE);
    expect((await ensure()).user).toBe(NAME);
    expect(ceph.calls).toEqual([GET, MAKE, GET]);
  });

  test('of another host, and with a key of no use, is not removed', async () => {
    const { ceph, ensure } = host({ ...TODAY, meanwhile: { 1: `${AES256K}, and other capabilities` } }, BOTH);
    await failureOf('kernel-unsupported', ensure);
    expect(ceph.calls).not.toContain(REMOVE);
  });
});

describe('monitors that refuse the type', () => {
  const REFUSING = 'aes is not allowed';

  test('for some seconds, after the setting was changed or a leader elected, are asked again', async () => {
    const { ceph, ensure } = host({ ...TODAY, state: REFUSING, meanwhile: { 5: 'no user' } }, BOTH);
    expect((await ensure()).user).toBe(NAME);
    expect(ceph.calls.filter((call) => call === MAKE_AES)).toHaveLength(3);
  });

  test('for good, although they allow it, are named with the setting', async () => {
    const { ensure } = host({ ...TODAY, state: REFUSING }, BOTH);
    const { message } = await failureOf('cluster-incompatible', () => ensure(6000));
    expect(message).toContain('creating key with insecure key type');
    expect(message).toContain('mon_auth_allow_insecure_key');
  });

  test('any other refusal is told as it is', async () => {
    const { ensure } = host({ ...TODAY, state: REFUSING }, BEFORE);
    await failureOf('control-plane-failed', ensure);
    const denied = host({ state: 'may not' }, BOTH);
    await failureOf('cluster-auth', denied.ensure);
  });
});
