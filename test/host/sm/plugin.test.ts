import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { vdiActivate, vdiCreate, vdiDeactivate } from '../../../lab/xapi-double/vdi-operations.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { lvName } from '../../../src/lvhd/names.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import { lockHolder, takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { type LoopPool, loopPool, loseAttachRecord } from '../../support/loop-pool.ts';
import { OtherHolder } from '../../support/stock-locks.ts';

const SIZE = 64 * MiB;
const FULL = fullVhdLvSize(SIZE);
const EMPTY = 8 * MiB;

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool({ allocation: 'thin' });
});
afterAll(() => pool[Symbol.asyncDispose]());

/** The n-th host's reference; the master is 0. */
function host(index: number): string {
  const row = pool.double.hosts[index];
  if (row === undefined) throw new RangeError(`no host ${index}`);
  return row.ref;
}

function srUuid(): string {
  return stringOf(pool.double.db.get('SR', pool.srRef), 'uuid');
}

async function disk(): Promise<{ readonly row: Row; readonly uuid: string }> {
  const row = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: SIZE });
  return { row, uuid: stringOf(row, 'uuid') };
}

function ask(on: number, fn: string, uuid: string, more: Record<string, string> = {}) {
  return callPlugin(pool.double, host(on), 'rbdsr', fn, { sr_uuid: srUuid(), vdi_uuid: uuid, ...more });
}

/** As vdi_activate of the second host leaves it. */
function mark(row: Row, ...hosts: readonly string[]): void {
  row.fields['sm_config'] = { vdi_type: 'vhd', ...Object.fromEntries(hosts.map((ref) => [`host_${ref}`, 'RW'])) };
}

function markOf(row: Row): readonly string[] {
  return Object.keys(row.fields['sm_config'] ?? {}).filter((key) => key.startsWith('host_'));
}

/** Bytes of its volume. The disk is sound at every size. */
async function sizeOf(uuid: string): Promise<number> {
  const name = lvName('vhd', vdiUuid(uuid));
  expect(await checkVhd(await pool.sr.openLv(name, 'read'))).toEqual([]);
  return (await pool.sr.report()).lvs.find((lv) => lv.name === name)?.sizeBytes ?? 0;
}

const refusal = (code: string, text: string): unknown => ({
  failure: ['XENAPI_PLUGIN_FAILURE', expect.any(String), code, expect.stringContaining(text)],
});

test('version is that of the product', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  expect(await callPlugin(pool.double, host(1), 'rbdsr', 'version', {})).toEqual({ value: version });
});

test('a function that does not exist', async () => {
  const answer = await callPlugin(pool.double, host(0), 'rbdsr', 'constructor', {});
  expect(answer).toEqual({ failure: ['UNKNOWN_XENAPI_PLUGIN_FUNCTION', 'constructor'] });
});

test.each([
  [
    'an SR that xapi does not know',
    { sr_uuid: '11111111-2222-4333-8444-555555555555' },
    'xapi-failure',
    'UUID_INVALID',
  ],
  ['an SR that is no uuid', { sr_uuid: '../../etc' }, 'bad-request', 'uuid'],
  ['a disk that is not there', { vdi_uuid: '11111111-2222-4333-8444-555555555555' }, 'vdi-missing', 'no VDI'],
])('refuses %s', async (_what, args, code, text) => {
  expect(await ask(0, 'inflate', '22222222-2222-4333-8444-555555555555', args)).toEqual(refusal(code, text));
});

describe('a thin disk for another host', () => {
  test('grows to hold every block, once; shrinks while only that host has its mark', async () => {
    const { row, uuid } = await disk();
    expect(await ask(0, 'inflate', uuid)).toEqual({ value: 'True' });
    expect(await sizeOf(uuid)).toBe(FULL);
    expect(await ask(0, 'inflate', uuid)).toEqual({ value: 'True' });
    expect(await ask(1, 'refresh', uuid)).toEqual({ value: 'True' });

    const host_ref = host(1);
    expect(await ask(0, 'deflate', uuid, { host_ref })).toEqual(refusal('vdi-in-use', 'found none'));
    mark(row, host(0), host(1));
    expect(await ask(0, 'deflate', uuid, { host_ref })).toEqual(refusal('vdi-in-use', host(0)));
    expect(await sizeOf(uuid)).toBe(FULL);
    mark(row, host(1));
    expect(await ask(0, 'deflate', uuid, { host_ref })).toEqual({ value: 'True' });
    expect(await sizeOf(uuid)).toBe(EMPTY);
    expect(await ask(0, 'deflate', uuid, { host_ref })).toEqual({ value: 'True' });
  });

  test('neither on a host that is not the master', async () => {
    const { uuid } = await disk();
    for (const fn of ['inflate', 'deflate']) {
      expect(await ask(1, fn, uuid, { host_ref: host(1) })).toEqual(refusal('not-master', fn));
    }
    expect(await sizeOf(uuid)).toBe(EMPTY);
  });

  test.each(['journal-created', 'resized', 'zeroed', 'footer-written'])(
    'killed at inflate.%s, asked again: undone and done',
    async (step) => {
      const { uuid } = await disk();
      await pool.withEnvironment({ RBDSR_FAULT: `inflate.${step}` }, async () => {
        expect(await ask(0, 'inflate', uuid)).toEqual({
          failure: ['XENAPI_PLUGIN_FAILURE', 'non-zero exit', '', '', expect.any(String)],
        });
      });
      expect(listJournals(await pool.sr.report())).toHaveLength(1);
      expect(await ask(0, 'inflate', uuid)).toEqual({ value: 'True' });
      expect(listJournals(await pool.sr.report())).toEqual([]);
      expect(await sizeOf(uuid)).toBe(FULL);
    },
  );
});

describe('vdi_deactivate of a thin disk on a host that is not the master', () => {
  async function fullDisk(): Promise<{ readonly row: Row; readonly uuid: string }> {
    const made = await disk();
    expect(await ask(0, 'inflate', made.uuid)).toEqual({ value: 'True' });
    mark(made.row, host(1));
    return made;
  }

  test.each([
    ['as it was attached', false],
    ['with the record of the attach lost', true],
  ])('%s: the master shrinks it, then the mark goes', async (_how, lost) => {
    const { row, uuid } = await fullDisk();
    const file = `${pool.root(1)}/var/run/rbdsr/sr/${srUuid()}.json`;
    const record = readFileSync(file);
    if (lost) loseAttachRecord(pool.root(1), srUuid());
    try {
      await vdiDeactivate(pool.double, host(1), row.ref);
    } finally {
      writeFileSync(file, record);
    }
    expect(await sizeOf(uuid)).toBe(EMPTY);
    expect(markOf(row)).toEqual([]);
  });

  test('where the master refuses: it keeps its size, and the host lets go of it', async () => {
    const { row, uuid } = await fullDisk();
    const settings = `${pool.root(0)}/etc/rbdsr/rbdsr.conf`;
    const before = readFileSync(settings, 'utf8');
    writeFileSync(settings, `${before}deadline.plugin_deflate = 2\n`);
    const lock = await takeRecordLock(`${pool.root(0)}/var/lock/sm/${srUuid()}/sr`, {
      wait: false,
      deadline: Deadline.after(0),
    });
    try {
      await vdiDeactivate(pool.double, host(1), row.ref);
    } finally {
      await lock.release();
      writeFileSync(settings, before);
    }
    expect(await sizeOf(uuid)).toBe(FULL);
    expect(markOf(row)).toEqual([]);
  });

  test('where an earlier call still works on the SR there, which may be this shrinking: the mark stays until that has ended', async () => {
    const { row, uuid } = await fullDisk();
    const settings = `${pool.root(0)}/etc/rbdsr/rbdsr.conf`;
    const before = readFileSync(settings, 'utf8');
    writeFileSync(settings, `${before}deadline.plugin_deflate = 2\n`);
    const late = await OtherHolder.of(`${pool.root(0)}/var/run/rbdsr/late/${srUuid()}.lock`, 'shared');
    try {
      await expect(vdiDeactivate(pool.double, host(1), row.ref)).rejects.toThrow('still waits for the cluster');
    } finally {
      await late[Symbol.asyncDispose]();
      writeFileSync(settings, before);
    }
    expect(markOf(row)).toEqual([`host_${host(1)}`]);
    await vdiDeactivate(pool.double, host(1), row.ref);
    expect(await sizeOf(uuid)).toBe(EMPTY);
    expect(markOf(row)).toEqual([]);
  });

  test('killed while the master works at it, and called again: the mark stays until the first shrinking has ended', async () => {
    const { row, uuid } = await fullDisk();
    const srLock = `${pool.root(0)}/var/lock/sm/${srUuid()}/sr`;
    const shrinking = `${pool.root(0)}/var/lock/sm/rbdsr-shrinking/${uuid}`;
    const settings = `${pool.root(0)}/etc/rbdsr/rbdsr.conf`;
    const before = readFileSync(settings, 'utf8');
    const sr = await OtherHolder.of(srLock, 'alone');
    // What the killed one has asked for, and nobody waits for any more.
    const first = ask(0, 'deflate', uuid, { host_ref: host(1) });
    try {
      const held = (): boolean => lockHolder(shrinking) !== undefined;
      await Deadline.after(20_000).until(async () => held() || undefined, 'the first shrinking to begin', 50);
      writeFileSync(settings, `${before}deadline.plugin_deflate = 2\n`);
      await expect(vdiDeactivate(pool.double, host(1), row.ref)).rejects.toThrow('an earlier shrinking');
      expect(markOf(row)).toEqual([`host_${host(1)}`]);
    } finally {
      writeFileSync(settings, before);
      await sr[Symbol.asyncDispose]();
    }
    expect(await first).toEqual({ value: 'True' });
    await vdiDeactivate(pool.double, host(1), row.ref);
    expect(await sizeOf(uuid)).toBe(EMPTY);
    expect(markOf(row)).toEqual([]);
  });

  test('nor does the mark go for another host that asks, but for one that holds the lock of the SR', async () => {
    const { row, uuid } = await fullDisk();
    const settings = `${pool.root(0)}/etc/rbdsr/rbdsr.conf`;
    const before = readFileSync(settings, 'utf8');
    writeFileSync(settings, `${before}deadline.plugin_deflate = 2\n`);
    {
      await using _late = await OtherHolder.of(`${pool.root(0)}/var/run/rbdsr/late/${srUuid()}.lock`, 'shared');
      expect(await ask(1, 'is_open', uuid)).toEqual(refusal('xapi-failure', 'still waits for the cluster'));
      expect(markOf(row)).toEqual([`host_${host(1)}`]);
    }
    writeFileSync(settings, before);
    expect(await ask(1, 'is_open', uuid)).toEqual({ value: 'False' });
    expect(await sizeOf(uuid)).toBe(EMPTY);
    expect(markOf(row)).toEqual([]);

    const other = await fullDisk();
    await using _sr = await OtherHolder.of(`${pool.root(0)}/var/lock/sm/${srUuid()}/sr`, 'alone');
    expect(await ask(1, 'is_open', other.uuid, { sr_locked: 'True' })).toEqual({ value: 'False' });
    expect(markOf(other.row)).toEqual([]);
  });

  test('where nobody says how it ended: the mark stays, and deactivating again gets it done', async () => {
    const { row, uuid } = await fullDisk();
    await pool.withEnvironment({ RBDSR_FAULT: 'deflate.footer-written' }, () =>
      expect(vdiDeactivate(pool.double, host(1), row.ref)).rejects.toThrow('XENAPI_PLUGIN_FAILURE'),
    );
    expect(markOf(row)).toEqual([`host_${host(1)}`]);
    await vdiDeactivate(pool.double, host(1), row.ref);
    expect(await sizeOf(uuid)).toBe(EMPTY);
    expect(markOf(row)).toEqual([]);
  });
});

describe('the mark of a host that is not the master, while the master still works on the disk', () => {
  /** As after a reboot of the second host. */
  async function plugAnew(): Promise<void> {
    loseAttachRecord(pool.root(1), srUuid());
    const pbd = pool.double.db.where('PBD', 'SR', pool.srRef).find(({ fields }) => fields['host'] === host(1));
    if (pbd === undefined) throw new RangeError('no PBD');
    pbd.fields['currently_attached'] = false;
    await pbdPlug(pool.double, pbd.ref);
  }

  const masterLocks = (uuid: string): readonly (readonly [string, 'alone' | 'shared'])[] => [
    [`${pool.root(0)}/var/lock/sm/rbdsr-shrinking/${uuid}`, 'alone'],
    [`${pool.root(0)}/var/run/rbdsr/late/${srUuid()}.lock`, 'shared'],
  ];

  test.each([
    ['shrinks it', 0],
    ['may write late', 1],
  ])('sr_attach: %s: it stays, and the log says so; it goes with the next one', async (_what, index) => {
    const { row, uuid } = await disk();
    mark(row, host(1));
    const [path, how] = masterLocks(uuid)[index] ?? ['', 'alone'];
    {
      await using _busy = await OtherHolder.of(path, how);
      await plugAnew();
      expect(markOf(row)).toEqual([`host_${host(1)}`]);
      expect(readFileSync(`${pool.root(1)}/var/log/SMlog`, 'utf8')).toMatch(
        /marks of this host stay on VDI .*may still/,
      );
    }
    await plugAnew();
    expect(markOf(row)).toEqual([]);
  });

  test('sr_attach where the master cannot be asked: it stays', async () => {
    const { row } = await disk();
    mark(row, host(1));
    pool.double.offline.add(host(0));
    await plugAnew().finally(() => pool.double.offline.delete(host(0)));
    expect(markOf(row)).toEqual([`host_${host(1)}`]);
  });

  test('sr_attach without a mark asks nobody', async () => {
    for (const row of pool.double.db.where('VDI', 'SR', pool.srRef)) mark(row);
    const asked = (): number => pool.double.runs.filter(({ request }) => request.includes('is_settled')).length;
    const before = asked();
    await plugAnew();
    expect(asked()).toBe(before);
  });

  test('vdi_activate does not use a disk that is about to be shrunk', async () => {
    const { row, uuid } = await disk();
    mark(row, host(1));
    const [[path, how] = ['', 'alone'] as const] = masterLocks(uuid);
    {
      await using _busy = await OtherHolder.of(path, how);
      const activating = vdiActivate(pool.double, host(1), row.ref, { writable: true });
      await expect(activating).rejects.toThrow(/master may still shrink the volume of VDI/);
      expect(markOf(row)).toEqual([`host_${host(1)}`]);
    }
    // There is no device-mapper here: it comes as far as LVM.
    await expect(vdiActivate(pool.double, host(1), row.ref, { writable: true })).rejects.toThrow(
      /lvchange|logical volume/,
    );
  });
});
