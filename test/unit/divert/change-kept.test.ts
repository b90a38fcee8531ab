import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { hasCode } from '../../../src/base/error.ts';
import { Secret } from '../../../src/base/secret.ts';
import { finishSwitch } from '../../../src/access/change/finish-switch.ts';
import { nextOwnUser } from '../../../src/access/change/own-user-name.ts';
import { switchUser } from '../../../src/access/change/switch-user.ts';
import { keepMonitors } from '../../../src/access/change-kept.ts';
import { keptBySr } from '../../../src/access/kept-access.ts';
import type { OwnXapi } from '../../../src/xapi/client.ts';
import { createSecret } from '../../../src/xapi/secret.ts';
import { openXapiSession, type XapiSession } from '../../support/xapi-session.ts';

// What every host of the pool reads, at any moment of a change, is a user with its own key.

const SR = '0f0e0d0c-0b0a-4908-8706-050403020100';
const OLD = `rbdsr-${SR}`;
const NEW = `${OLD}-2`;
const KEYS = {
  old: 'AQDDnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==',
  new: 'AQDEnS9lAAAAABAAR3IoRpWq4qlHb6jCQ7JjVw==',
} as const;
let session: XapiSession;
let double: XapiDouble;
let xapi: OwnXapi;
let sr: Row;

beforeAll(async () => {
  session = await openXapiSession();
  ({ double, xapi } = session);
});

afterAll(() => session[Symbol.asyncDispose]());

beforeEach(() => {
  for (const { ref } of double.db.all('secret')) double.db.destroy('secret', ref);
  const secret = double.db.create('secret', { value: KEYS.old });
  sr = double.db.create('SR', {
    type: 'lvmoiscsi',
    sm_config: {
      allocation: 'thick',
      rbd_monitors: '10.0.0.1:6789',
      rbd_user: OLD,
      rbd_own_user: 'true',
      rbd_password_secret: stringOf(secret, 'uuid'),
    },
  });
});

const identity = (): { ref: string; uuid: string } => ({ ref: sr.ref, uuid: SR });

/** Runs `work` so that it ends at a fault point; false where it does not come by. */
async function until(point: string, work: () => Promise<unknown>): Promise<boolean> {
  process.env['RBDSR_FAULT'] = `${point}!error`;
  try {
    await work();
    return false;
  } catch (error) {
    if (hasCode(error, 'fault-point')) return true;
    throw error;
  } finally {
    delete process.env['RBDSR_FAULT'];
  }
}

async function change(): Promise<void> {
  const secret = await createSecret(xapi, new Secret(KEYS.new), SR);
  expect(await switchUser(xapi, identity(), NEW, secret)).toBe(true);
}

function settled(): Record<string, string> {
  const { rbd_password_secret: secret, [`rbd_former_user_${OLD}`]: since, ...rest } = mapOf(sr, 'sm_config');
  expect(since).toMatch(/^20/);
  expect(double.db.where('secret', 'uuid', secret ?? '').map(({ fields }) => fields['value'])).toEqual([KEYS.new]);
  return rest;
}

const AFTER = { allocation: 'thick', rbd_monitors: '10.0.0.1:6789', rbd_user: NEW, rbd_own_user: 'true' };

test('another user: all of it, and the secret of before is gone', async () => {
  await change();
  expect(settled()).toEqual(AFTER);
  expect(double.db.all('secret')).toHaveLength(1);
  expect((await keptBySr(xapi, sr.ref))?.formerUsers).toEqual([OLD]);
  expect(double.offences).toEqual([]);
});

test('a host reads a user with its own key after every single call', async () => {
  const seen = new Set<string>();
  const watched: OwnXapi = {
    ...xapi,
    close: () => {},
    logout: async () => {},
    call: async (method, ...params) => {
      const answer = await xapi.call(method, ...params);
      const kept = await keptBySr(xapi, sr.ref);
      expect(kept?.access.key.reveal(), method).toBe(kept?.user === OLD ? KEYS.old : KEYS.new);
      seen.add(kept?.user ?? '');
      return answer;
    },
  };
  const secret = await createSecret(xapi, new Secret(KEYS.new), SR);
  await switchUser(watched, identity(), NEW, secret);
  expect([...seen]).toEqual([OLD, NEW]);
});

test.each(['rekey.after-former', 'rekey.after-next-user'])('killed at %s: nothing has changed yet', async (point) => {
  expect(await until(point, change)).toBe(true);
  expect((await keptBySr(xapi, sr.ref))?.access.key.reveal()).toBe(KEYS.old);
  expect((await keptBySr(xapi, sr.ref))?.formerUsers).toEqual([]);
  expect(await finishSwitch(xapi, identity())).toBeUndefined();
  await change();
  expect(settled()).toMatchObject(AFTER);
});

test.each(['rekey.after-next-secret', 'rekey.after-user', 'rekey.after-secret'])(
  'killed at %s: changed, and the next run finishes it',
  async (point) => {
    expect(await until(point, change)).toBe(true);
    expect((await keptBySr(xapi, sr.ref))?.access.key.reveal()).toBe(KEYS.new);
    expect(await finishSwitch(xapi, identity())).toBe(NEW);
    expect(settled()).toEqual(AFTER);
  },
);

test('killed at rekey.after-switch: changed, and nothing is left to finish', async () => {
  expect(await until('rekey.after-switch', change)).toBe(true);
  expect((await keptBySr(xapi, sr.ref))?.access.key.reveal()).toBe(KEYS.new);
  expect(await finishSwitch(xapi, identity())).toBeUndefined();
  const { rbd_password_secret: secret } = mapOf(sr, 'sm_config');
  expect(settled()).toEqual({ ...AFTER, [`rbd_next_user_${secret}`]: NEW });
});

test('two at once: one secret wins, whole, and the other run is told', async () => {
  const secrets = await Promise.all([NEW, NEW].map(() => createSecret(xapi, new Secret(KEYS.new), SR)));
  const won = await Promise.all(secrets.map((secret) => switchUser(xapi, identity(), NEW, secret)));
  const { rbd_password_secret: kept = '' } = mapOf(sr, 'sm_config');
  expect(won[secrets.indexOf(kept)]).toBe(true);
  expect((await keptBySr(xapi, sr.ref))?.access.key.reveal()).toBe(KEYS.new);
  expect(Object.keys(settled()).filter((key) => key.includes('next'))).toEqual([]);
});

test("a user of the administrator's is not taken for one of ours", async () => {
  const secret = await createSecret(xapi, new Secret(KEYS.new), SR);
  await switchUser(xapi, identity(), 'xen', secret);
  expect(await keptBySr(xapi, sr.ref)).toMatchObject({ user: 'xen', ownUser: false, formerUsers: [OLD] });
});

test.each(['remonitor.after-next', 'remonitor.after-key'])(
  'monitors, killed at %s: the new ones count',
  async (point) => {
    const monitors = '10.0.0.2:6789,10.0.0.3:6789';
    expect(await until(point, () => keepMonitors(xapi, sr.ref, monitors))).toBe(true);
    expect((await keptBySr(xapi, sr.ref))?.access.monitors.map(({ host }) => host)).toEqual(['10.0.0.2', '10.0.0.3']);
    await keepMonitors(xapi, sr.ref, monitors);
    expect(mapOf(sr, 'sm_config')).not.toHaveProperty('rbd_next_monitors');
  },
);

test.each([
  [[], OLD],
  [['xen'], OLD],
  [[OLD], NEW],
  [['xen', OLD], NEW],
  [[`${OLD}-9`, NEW], `${OLD}-10`],
  [[`${OLD}-x`, `${OLD}2`], OLD],
])('after %j comes %s', (used, next) => {
  expect(nextOwnUser(SR, used)).toBe(next);
});
