import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { Secret } from '../../../src/base/secret.ts';
import { usesOf } from '../../../src/access/change/former-users.ts';
import { givePbdLogin, type PbdLogin } from '../../../src/access/pbd-logins.ts';
import type { OwnXapi } from '../../../src/xapi/client.ts';
import { allPbds } from '../../../src/xapi/pbd.ts';
import { failureOf } from '../../support/expect-error.ts';
import { openXapiSession, type XapiSession } from '../../support/xapi-session.ts';

const SR = '0f0e0d0c-0b0a-4908-8706-050403020100';
let session: XapiSession;
let double: XapiDouble;
let xapi: OwnXapi;
let sr: Row;

beforeAll(async () => {
  session = await openXapiSession();
  ({ double, xapi } = session);
  sr = double.db.create('SR', { uuid: SR, type: 'rbd' });
});

afterAll(() => session[Symbol.asyncDispose]());

beforeEach(() => {
  for (const cls of ['PBD', 'secret'] as const) for (const { ref } of double.db.all(cls)) double.db.destroy(cls, ref);
});

const secret = (value: string): string => stringOf(double.db.create('secret', { value }), 'uuid');

function pbd(config: Record<string, string>, srRef = sr.ref): Row {
  return double.db.create('PBD', { SR: srRef, device_config: { pool: 'xen', ...config }, currently_attached: true });
}

/** What the driver will find: the user, and the value behind the uuid. */
function logins(): unknown {
  return double.db.where('PBD', 'SR', sr.ref).map((row) => {
    const { user, password_secret: uuid = '', ...rest } = mapOf(row, 'device_config');
    return { user, key: double.db.where('secret', 'uuid', uuid)[0]?.fields['value'], rest };
  });
}

const NEW: PbdLogin = { passwordKey: 'password', value: new Secret('new'), fields: {}, instead: ['keyring'] };

const give = async (login: PbdLogin): Promise<number> => {
  const ours = (await allPbds(xapi)).filter((record) => record.sr === sr.ref);
  return (await givePbdLogin(xapi, SR, ours, login)).length;
};

test('another key: each secret keeps its uuid and gets the value, and a second run has nothing to do', async () => {
  const uuids = ['old', 'old'].map(secret);
  for (const uuid of uuids) pbd({ user: 'xen', password_secret: uuid });
  expect(await give(NEW)).toBe(2);
  expect(logins()).toEqual([0, 1].map(() => ({ user: 'xen', key: 'new', rest: { pool: 'xen' } })));
  expect(double.db.all('secret').map((row) => stringOf(row, 'uuid'))).toEqual(uuids);
  expect(await give(NEW)).toBe(0);
  expect(double.offences).toEqual([]);
});

test('one secret for all PBDs, as SR.create leaves it', async () => {
  const shared = secret('old');
  for (let index = 0; index < 3; index += 1) pbd({ password_secret: shared });
  expect(await give(NEW)).toBe(3);
  expect(logins()).toEqual([0, 1, 2].map(() => ({ user: undefined, key: 'new', rest: { pool: 'xen' } })));
});

test('a secret that is gone, a key in clear, a keyring file: each PBD gets a secret of its own', async () => {
  pbd({ password_secret: '99999999-0b0a-4908-8706-050403020100' });
  pbd({ password: 'clear' });
  pbd({ keyring: '/etc/ceph/keyring' });
  expect(await give(NEW)).toBe(3);
  expect(logins()).toEqual([0, 1, 2].map(() => ({ user: undefined, key: 'new', rest: { pool: 'xen' } })));
  expect(double.db.all('secret').map((row) => mapOf(row, 'other_config'))).toEqual(
    [0, 1, 2].map(() => ({ rbdsr: SR })),
  );
});

test('another user too: user and key change in one call, and what was replaced is destroyed', async () => {
  const shared = secret('old');
  for (let index = 0; index < 2; index += 1) pbd({ user: 'xen', password_secret: shared });
  const login = { ...NEW, fields: { user: 'other' } };
  expect(await give(login)).toBe(2);
  expect(logins()).toEqual([0, 1].map(() => ({ user: 'other', key: 'new', rest: { pool: 'xen' } })));
  expect(double.db.where('secret', 'uuid', shared)).toEqual([]);
  expect(await give(login)).toBe(0);
});

test("a secret that another SR's PBD names too is left to that", async () => {
  const shared = secret('old');
  pbd({ password_secret: shared });
  pbd({ password_secret: shared }, 'OpaqueRef:other');
  await give(NEW);
  expect(double.db.where('secret', 'uuid', shared).map(({ fields }) => fields['value'])).toEqual(['old']);
  expect(logins()).toMatchObject([{ key: 'new' }]);
});

test('killed between two PBDs: one has the old login, one the new; the next run does the other', async () => {
  for (let index = 0; index < 2; index += 1) pbd({ user: 'xen', password_secret: secret('old') });
  process.env['RBDSR_FAULT'] = 'pbd-login.after-pbd!error';
  const login = { ...NEW, fields: { user: 'other' } };
  await failureOf('fault-point', () => give(login)).finally(() => delete process.env['RBDSR_FAULT']);
  expect(logins()).toMatchObject([
    { user: 'other', key: 'new' },
    { user: 'xen', key: 'old' },
  ]);
  expect(await give(login)).toBe(1);
  expect(logins()).toMatchObject([0, 1].map(() => ({ user: 'other', key: 'new' })));
});

const SPEC = { pool: 'xen', image: 'sr1' };
const mapped = (client: number, user?: string, image = 'sr1') => ({
  device: `/dev/rbd${client}`,
  spec: { pool: 'xen', image },
  client,
  ...(user === undefined ? {} : { user }),
});
const watcher = (client: number) => ({ client, address: `10.0.0.5:0/${client}` });
const report = (name: string, mappings: readonly ReturnType<typeof mapped>[], keyFiles: readonly string[] = []) => ({
  name,
  plugged: true,
  users: { mappings, keyFiles },
});

test.each([
  ['nobody has it open', [], [], 0],
  ['only by the new user', [watcher(1)], [report('a', [mapped(1, 'new')])], 0],
  [
    'a host by the former',
    [watcher(1), watcher(2)],
    [report('a', [mapped(1, 'old')]), report('b', [mapped(2, 'new')])],
    1,
  ],
  ['a client of no host', [watcher(9)], [report('a', [])], 1],
  ['a host whose kernel does not tell', [watcher(1)], [report('a', [mapped(1)])], 1],
  ['the new user, but another image', [watcher(1)], [report('a', [mapped(1, 'new', 'sr2')])], 1],
  ['a key file', [], [report('a', [], ['old'])], 1],
  ['a host that is plugged and silent', [], [{ name: 'a', plugged: true, problem: 'down' }], 1],
  ['a host that is not plugged and silent', [], [{ name: 'a', plugged: false, problem: 'down' }], 0],
])('whether a former user is still used: %s', (_what, watchers, reports, uses) => {
  expect(usesOf('old', { spec: SPEC }, watchers, reports)).toHaveLength(uses);
});
