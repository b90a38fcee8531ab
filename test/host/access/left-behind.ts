import { expect } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import type { PoolWithCluster } from './pool-with-cluster.ts';
import { secretsSince, standingOf, type Subject, valueOf } from './subject.ts';

type Look = (pool: PoolWithCluster, subject: Subject) => Promise<void>;

type Keys = Readonly<Record<string, unknown>>;

interface Facts {
  readonly old: string;
  readonly user: string;
  readonly hostKey: string;
  readonly secret: string;
}

/** What a rekey writes into SR.sm_config, one after the other. */
const WRITES: readonly (readonly [left: string, (facts: Facts) => Keys])[] = [
  ['user-of-nobody', () => ({})],
  ['user-of-nobody-and-facts', ({ hostKey }) => ({ rbd_host_key: hostKey })],
  ['secret-of-nobody', () => ({})],
  ['former-user', ({ old }) => ({ [`rbd_former_user_${old}`]: expect.stringMatching(/^20/) })],
  ['next-user', ({ secret, user }) => ({ [`rbd_next_user_${secret}`]: user })],
  ['next-secret', ({ secret }) => ({ rbd_next_password_secret: secret })],
  ['next-secret-and-user', ({ user }) => ({ rbd_user: user, rbd_own_user: 'true' })],
  ['next-secret-and-all', ({ secret }) => ({ rbd_password_secret: secret })],
  ['switched', () => ({ rbd_next_password_secret: undefined })],
];

/** What each `leaves` of a step looks like (src/base/steps.ts), by its id: nothing more and nothing less. */
export const leftBehind: Readonly<Record<string, Look>> = {
  ...Object.fromEntries(WRITES.map(([id]) => [id, rekeyed(id)])),
  'given-secret': async (pool, subject) => expectStanding(pool, subject, { made: 1 }),
  'old-logins': async (pool, subject) => {
    const { began, goal } = subject;
    await expectStanding(pool, subject, {
      made: 1,
      gone: 1,
      map: {
        rbd_user: goal.user,
        rbd_own_user: 'false',
        rbd_password_secret: expect.not.stringMatching(began.map['rbd_password_secret'] ?? ''),
        [`rbd_former_user_${began.map['rbd_user']}`]: expect.stringMatching(/^20/),
      },
    });
    expect(await pool.pluggableBy(subject)).toBe(goal.user);
  },
  'former-user-gone': async (pool, subject) => {
    await expectStanding(pool, subject, {});
    expect(await pool.exists(`rbdsr-${subject.uuid}`)).toBe(false);
    expect(await pool.pluggableBy(subject)).toBe(`rbdsr-${subject.uuid}-2`);
  },
  'next-value': async (pool, subject) => {
    const [key, value] = theKey(subject);
    await expectStanding(pool, subject, { map: { [nextOf(key)]: value } });
    await pool.pluggableBy(subject);
  },
  'next-value-and-key': async (pool, subject) => {
    const [key, value] = theKey(subject);
    await expectStanding(pool, subject, { map: { [nextOf(key)]: value, [key]: value } });
    await pool.pluggableBy(subject);
  },
  'old-target': async (pool, subject) => {
    await expectStanding(pool, subject, { map: subject.goal.map ?? {} });
    await pool.pluggableBy(subject);
  },
  'old-copy': async (pool, subject) => {
    await expectStanding(pool, subject, { made: subject.pbds.length, gone: subject.pbds.length, pbds: 'all' });
    expect(valueOf(pool, subject.began.map['rbd_password_secret'])).not.toBe(subject.goal.value);
  },
  'replaced-secrets': (pool, subject) => expectStanding(pool, subject, { made: subject.pbds.length, pbds: 'all' }),
  'own-secret': (pool, subject) => expectStanding(pool, subject, { made: 1 }),
  'some-logins': (pool, subject) => expectStanding(pool, subject, { made: 1, pbds: 'first' }),
  'some-fields': (pool, subject) => expectStanding(pool, subject, { pbds: 'first' }),
};

interface Expected {
  /** Keys of SR.sm_config that are other than before; `undefined` for one that is gone. */
  readonly map?: Keys;
  /** Which PBDs are as they are to be. */
  readonly pbds?: 'none' | 'first' | 'all';
  /** Secrets that the command has made, each with the new value; and those of before that are gone. */
  readonly made?: number;
  readonly gone?: number;
}

export async function expectStanding(
  pool: PoolWithCluster,
  subject: Subject,
  { map = {}, pbds = 'none', made = 0, gone = 0 }: Expected,
): Promise<void> {
  const { began, goal } = subject;
  const now = standingOf(subject);
  expect(now.map).toEqual(changed(began.map, map));
  const changedPbds = pbds === 'all' ? now.pbds.length : pbds === 'first' ? 1 : 0;
  expect(now.pbds).toEqual(
    began.pbds.map((config, index) => (index < changedPbds ? changed(config, goal.pbd ?? {}) : config)),
  );
  const secrets = secretsSince(pool, subject);
  expect(secrets.gone).toBe(gone);
  expect(secrets.made.map(({ fields }) => fields['value'])).toEqual(Array.from({ length: made }, () => goal.value));
}

function changed(before: Keys, changes: Keys): Keys {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== undefined));
}

function rekeyed(id: string): Look {
  const at = WRITES.findIndex(([left]) => left === id);
  const hasCome = (left: string): boolean => at >= WRITES.findIndex(([other]) => other === left);
  return async (pool, { goal, ...rest }) => {
    const [old, user] = [`rbdsr-${rest.uuid}`, `rbdsr-${rest.uuid}-2`];
    const value = await pool.cluster.tool('ceph', 'auth', 'get-key', `client.${user}`);
    const subject = { ...rest, goal: { ...goal, value: value.trim() } };
    const { made } = secretsSince(pool, subject);
    const facts = {
      old,
      user,
      hostKey: pool.hostKeyLine(),
      secret: made[0] === undefined ? '' : stringOf(made[0], 'uuid'),
    };
    const map = Object.assign({}, ...WRITES.slice(0, at + 1).map(([, keys]) => keys(facts))) as Keys;
    await expectStanding(pool, subject, { map, made: hasCome('secret-of-nobody') ? 1 : 0 });
    expect(await pool.exists(old)).toBe(true);
    expect(await pool.pluggableBy(subject)).toBe(hasCome('next-secret') ? user : old);
  };
}

function nextOf(key: string): string {
  return key.replace(/^rbd_/, 'rbd_next_');
}

/** The one that changes. */
function theKey({ goal: { map = {} } }: Subject): readonly [string, string] {
  const [entry] = Object.entries(map);
  if (entry === undefined) throw new Error('no key changes');
  return entry;
}
