import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { Mender } from '../../../src/base/steps.ts';
import { expectAllWalked, killsOf } from '../../support/every-step.ts';
import { leftBehind } from './left-behind.ts';
import { PASSWORD, PoolWithCluster } from './pool-with-cluster.ts';
import { standingOf, type Subject, subjectOf, valueOf } from './subject.ts';

// Every step of every protocol of rekey and remonitor (src/main/protocols.ts): the built command is killed after it,
// what there is then is exactly what the step says it leaves, and each command that is to mend that does, with an SR
// where it has not been mended yet.

let pool: PoolWithCluster;
beforeAll(async () => {
  pool = await PoolWithCluster.make('steps');
});
afterAll(() => pool?.[Symbol.asyncDispose]());

const SILENT = '10.66.0.250:6789';
/** Passwords, in no sentence of ours. */
const OUTDATED = '0utdated p4ssword';
const ANOTHER = 'an0ther p4ssword';
const login = (user = 'rbdsr'): string[] => ['--monitor', pool.ssh.address, '--ssh-user', user, '--password-stdin'];

/** Its SR keeps no host key, as one whose key was given: then a rekey has every step. */
async function ownUser(): Promise<Subject> {
  const { uuid, row, pbd } = await pool.diverted();
  const { rbd_host_key: _, ...others } = mapOf(row, 'sm_config');
  row.fields['sm_config'] = others;
  const compared = await pool.ssh.hostKeyFingerprint();
  return subjectOf(pool, {
    row,
    pbds: [pbd],
    call: (env) => pool.rbdsr(['rekey', uuid, ...login(), '--host-key', compared], PASSWORD, env),
    goal: {
      user: `rbdsr-${uuid}-2`,
      map: { rbd_user: `rbdsr-${uuid}-2`, rbd_own_user: 'true', rbd_host_key: pool.hostKeyLine() },
    },
  });
}

async function givenUser(): Promise<Subject> {
  const typed = await pool.cluster.createUser('typed', ['rbd']);
  const { uuid, row, pbd } = await pool.diverted(
    {},
    { chapuser: `client.${typed.name}`, chappassword_secret: pool.secret(typed.key) },
  );
  const { name: user, key } = await pool.cluster.createUser('given', ['rbd']);
  return subjectOf(pool, {
    row,
    pbds: [pbd],
    call: (env) => pool.rbdsr(['rekey', uuid, '--user', user, '--key-stdin'], key, env),
    goal: {
      user,
      value: key,
      map: { rbd_user: user, rbd_own_user: 'false' },
      pbd: { chapuser: `client.${user}`, chappassword_secret: expect.any(String) as string },
    },
  });
}

async function formerUser(): Promise<Subject> {
  const { uuid, row, pbd } = await pool.diverted();
  expect(await pool.rbdsr(['rekey', uuid, ...login()], PASSWORD)).toMatchObject({ code: 0 });
  return subjectOf(pool, {
    row,
    pbds: [pbd],
    call: (env) => pool.rbdsr(['rekey', uuid, '--remove-old', ...login()], PASSWORD, env),
    goal: { user: `rbdsr-${uuid}-2`, former: 'gone' },
  });
}

async function newMonitors(...more: readonly string[]): Promise<Subject> {
  const { uuid, row, pbd } = await pool.diverted({ rbd_monitors: SILENT }, { target: '10.66.0.250' });
  return subjectOf(pool, {
    row,
    pbds: [pbd],
    call: (env) => pool.rbdsr(['remonitor', uuid, ...more, ...login()], PASSWORD, env),
    goal: {
      map: { rbd_monitors: pool.cluster.monitors.join(',') },
      ...(more.length === 0 ? {} : { pbd: { target: pool.ssh.address } }),
    },
  });
}

async function newHostKey(): Promise<Subject> {
  const file = join(pool.run.folder('other-key'), 'key');
  execFileSync('sh', ['-c', `test -e "$1" || ssh-keygen -q -t ed25519 -N '' -f "$1"`, 'sh', file]);
  const [type = '', key = ''] = readFileSync(`${file}.pub`, 'utf8').split(' ');
  const { uuid, row, pbd } = await pool.diverted({ rbd_host_key: `${pool.ssh.address} ${type} ${key}` });
  const compared = await pool.ssh.hostKeyFingerprint();
  return subjectOf(pool, {
    row,
    pbds: [pbd],
    call: (env) => pool.rbdsr(['remonitor', uuid, '--forget-host-key', '--host-key', compared], '', env),
    goal: { map: { rbd_host_key: pool.hostKeyLine() } },
  });
}

function typed(monitors = pool.cluster.monitors.join(',')): { readonly row: Row; readonly pbds: readonly Row[] } {
  const row = pool.xapi.db.create('SR', {
    type: 'rbd',
    sm_config: { rbd_fsid: pool.cluster.fsid, rbd_password_secret: pool.secret(OUTDATED) },
  });
  const pbds = [0, 1].map(() =>
    pool.xapi.db.create('PBD', {
      SR: row.ref,
      host: pool.xapi.master.ref,
      device_config: { monitors, pool: 'rbd', image: 'a', user: 'before', password_secret: pool.secret(OUTDATED) },
    }),
  );
  return { row, pbds };
}

async function typedUser(): Promise<Subject> {
  const { row, pbds } = typed();
  const { name: user, key } = await pool.cluster.createUser('given', ['rbd']);
  return subjectOf(pool, {
    row,
    pbds,
    call: (env) => pool.rbdsr(['rekey', stringOf(row, 'uuid'), '--user', user, '--key-stdin'], key, env),
    goal: { value: key, pbd: { user, password_secret: expect.any(String) as string } },
  });
}

async function typedMonitors(): Promise<Subject> {
  const { row, pbds } = typed(SILENT);
  return subjectOf(pool, {
    row,
    pbds,
    call: (env) => pool.rbdsr(['remonitor', stringOf(row, 'uuid'), pool.ssh.address], '', env),
    goal: { pbd: { monitors: pool.cluster.monitors.join(',') } },
  });
}

/** Two PBDs with a password in clear beside a secret, so that each gets one of its own. */
async function newPassword(): Promise<Subject> {
  const { uuid, row, pbd } = await pool.diverted({}, { chappassword: OUTDATED });
  const second = pool.xapi.db.create('PBD', {
    SR: row.ref,
    host: pool.xapi.master.ref,
    device_config: { ...mapOf(pbd, 'device_config'), chappassword_secret: pool.secret(OUTDATED) },
  });
  return subjectOf(pool, {
    row,
    pbds: [pbd, second],
    call: (env) => pool.rbdsr(['rekey', uuid, '--chap-password-stdin'], ANOTHER, env),
    goal: { value: ANOTHER, pbd: { chappassword: undefined, chappassword_secret: expect.any(String) as string } },
  });
}

/** How a protocol is come to. */
interface Walk {
  readonly without?: readonly string[];
  readonly make: () => Promise<Subject>;
}

/** By the protocol's title: how it is come to. */
const walks: Readonly<Record<string, readonly Walk[]>> = {
  '`rbdsr rekey` on a diverted SR, keys of SR.sm_config': [{ make: ownUser }],
  '`rbdsr rekey --key-stdin` on a diverted SR': [{ make: givenUser }],
  '`rbdsr rekey --remove-old`': [{ make: formerUser }],
  '`rbdsr remonitor`, with `rbd_monitors`, or `rbd_host_key` for a host key': [
    { make: newMonitors },
    { make: newHostKey },
  ],
  '`rbdsr remonitor --target`': [{ make: () => newMonitors('--target') }],
  '`rbdsr rekey --key-stdin` of SR type rbd': [{ make: typedUser }],
  'a login in the PBDs of an SR': [{ make: newPassword }],
  'a login in one PBD': [{ make: newPassword }],
  'monitors or `target` in one PBD': [{ make: typedMonitors }],
};

const menders: Readonly<Partial<Record<Mender, (subject: Subject) => Promise<unknown>>>> = {
  again: async (subject) => {
    const then = standingOf(subject).map;
    expect(await subject.call()).toMatchObject({ code: 0 });
    // One that does not count goes with the SR.
    const uncounted = then['rbd_next_password_secret'] === undefined ? nextKeys(then, 'user_') : [];
    expect(nextKeys(standingOf(subject).map)).toEqual(uncounted);
    // What it says that doctor names.
    await follow(subject, []);
    await mustBeChanged(subject);
  },
  doctor: async (subject) => {
    const then = standingOf(subject);
    expect(await follow(subject, [...login('boss'), '--host-key', await pool.ssh.hostKeyFingerprint()])).not.toBe(0);
    expect(standingOf(subject)).toEqual(then);
    await pool.pluggableBy(subject);
  },
};

const nextKeys = (map: Readonly<Record<string, string>>, which = ''): readonly string[] =>
  Object.keys(map).filter((key) => key.startsWith(`rbd_next_${which}`));

/** Does what doctor says of this SR; how much that was. After it no secret is left over. */
async function follow({ uuid }: Subject, options: readonly string[]): Promise<number> {
  const named = async (...more: readonly string[]): Promise<readonly string[]> => {
    const { said } = await pool.rbdsr(['doctor', '--json', ...more], PASSWORD);
    const { leavings } = JSON.parse(said) as { leavings: { kind: string; todo: string }[] };
    return leavings
      .filter(({ kind, todo }) => kind === 'secret' || todo.includes(`client.rbdsr-${uuid}`))
      .map(({ todo }) => todo);
  };
  const todos = await named(...options);
  for (const todo of todos) {
    const [, secret] = /^xe secret-destroy uuid=(.*)$/.exec(todo) ?? [];
    const [, user = ''] = /^on a monitor: ceph auth rm (.*)$/.exec(todo) ?? [];
    if (secret === undefined) await pool.cluster.tool('ceph', 'auth', 'rm', user);
    else pool.xapi.db.destroy('secret', pool.xapi.db.where('secret', 'uuid', secret)[0]?.ref ?? '');
  }
  if (todos.length > 0) expect(await named()).toEqual([]);
  return todos.length;
}

/** The SR has what the command was to give it, and nothing half done. */
async function mustBeChanged(subject: Subject): Promise<void> {
  const { row, began, goal } = subject;
  const now = standingOf(subject);
  const settled = (map: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(map).filter(([key]) => !/^rbd_(next|former)_user_/.test(key)));
  expect(settled(now.map)).toEqual({
    ...settled(began.map),
    ...goal.map,
    ...(goal.user === undefined ? {} : { rbd_password_secret: expect.any(String) }),
  });
  for (const config of now.pbds) {
    expect(config).toMatchObject(Object.fromEntries(Object.entries(goal.pbd ?? {}).filter(([, value]) => value)));
    for (const [key, value] of Object.entries(goal.pbd ?? {})) {
      if (value === undefined) expect(config).not.toHaveProperty(key);
      if (key.endsWith('_secret')) expect(valueOf(pool, config[key])).toBe(goal.value);
    }
  }
  const isTyped = stringOf(row, 'type') === 'rbd';
  if (!isTyped) expect(await pool.pluggableBy(subject)).toBe(goal.user ?? `rbdsr-${subject.uuid}`);
  else if (goal.value !== undefined) expect(valueOf(pool, now.map['rbd_password_secret'])).toBe(goal.value);
  if (goal.former === 'gone') {
    expect(Object.keys(now.map).filter((key) => key.startsWith('rbd_former_user_'))).toEqual([]);
    expect(await pool.exists(`rbdsr-${subject.uuid}`)).toBe(false);
  }
}

const TEST = 'test/host/access/every-step.test.ts';

test.each(killsOf(TEST, walks))(
  '%s, killed at %s, mended by %s (%i)',
  async (_title, name, mender, _index, left, walk) => {
    const subject = await walk.make();
    expect((await subject.call({ RBDSR_FAULT: name })).code).not.toBe(0);
    await leftBehind[left]?.(pool, subject);
    await menders[mender]?.(subject);
    expect(pool.xapi.offences).toEqual([]);
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks: leftBehind });
});
