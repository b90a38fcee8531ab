import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { hostDeclaredDead } from '../../../lab/xapi-double/toolstack.ts';
import {
  vdiActivate,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiResize,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { failure } from '../../support/xapi-failure.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { OtherHolder, stockHookPasses } from '../../support/stock-locks.ts';

// Marks in VDI.sm_config that say a host has a disk active: what that host is asked, and what becomes of them.

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool();
});
afterAll(() => pool[Symbol.asyncDispose]());

function host(index: number): Row {
  const row = pool.double.hosts[index];
  if (row === undefined) throw new RangeError(`no host ${index}`);
  return row;
}

function srUuid(): string {
  return stringOf(pool.double.db.get('SR', pool.srRef), 'uuid');
}

/** A disk that the second host has marked, as a call there left it that died. */
async function markedDisk(...more: readonly string[]): Promise<Row> {
  const vdi = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 16 * MiB });
  const marks = Object.fromEntries([`host_${host(1).ref}`, ...more].map((key) => [key, 'RW']));
  vdi.fields['sm_config'] = { ...mapOf(vdi, 'sm_config'), ...marks };
  return vdi;
}

function marksOf(vdi: Row): readonly string[] {
  return Object.keys(mapOf(vdi, 'sm_config')).filter((key) => /^host_|^activating$/.test(key));
}

/** What the second host's NBD server of a disk leaves to be seen while it runs. */
async function server(vdi: Row): Promise<AsyncDisposable> {
  const uuid = stringOf(vdi, 'uuid');
  const folder = `${pool.root(1)}/var/run/rbdsr/nbd`;
  mkdirSync(folder, { recursive: true });
  const running = await OtherHolder.of(`${folder}/${uuid}.lock`, 'alone');
  const state = { pid: running.pid, sr: srUuid(), vdi: uuid, kind: 'vhd', target: '/dev/null', writable: true };
  writeFileSync(`${folder}/${uuid}.json`, JSON.stringify(state));
  return {
    [Symbol.asyncDispose]: async () => {
      rmSync(`${folder}/${uuid}.json`);
      await running[Symbol.asyncDispose]();
    },
  };
}

describe('the mark of a host that has nothing of the disk open goes, and the command goes on', () => {
  test('vdi_delete', async () => {
    const vdi = await markedDisk();
    await vdiDestroy(pool.double, vdi.ref);
    expect(pool.double.db.find('VDI', vdi.ref)).toBeUndefined();
  });

  test('vdi_resize', async () => {
    const vdi = await markedDisk();
    await vdiResize(pool.double, vdi.ref, 32 * MiB);
    expect(vdi.fields['virtual_size']).toBe(32 * MiB);
    expect(marksOf(vdi)).toEqual([]);
  });

  test('vdi_activate, with the key "activating" that lies beside it', async () => {
    const vdi = await markedDisk('activating');
    // There is no device-mapper here: it comes as far as LVM.
    const { message } = await failure(vdiActivate(pool.double, host(0).ref, vdi.ref, { writable: true }));
    expect(message).not.toContain('not detached cleanly');
    expect(message).toMatch(/lvchange|logical volume/);
    expect(marksOf(vdi)).toEqual([]);
  });

  test('vdi_activate for reading, where another host reads, and a third has died with "activating"', async () => {
    const vdi = await markedDisk();
    vdi.fields['sm_config'] = { [`host_${host(1).ref}`]: 'RO', activating: 'True' };
    // It waits 15 s for the mark of who has left that.
    const { message } = await failure(vdiActivate(pool.double, host(0).ref, vdi.ref, { writable: false }));
    expect(message).toMatch(/lvchange|logical volume/);
    expect(marksOf(vdi)).toEqual([`host_${host(1).ref}`]);
  });
});

describe.each([
  ['a server of the disk runs there', server, 'has it open', 'Shut down what uses it there'],
  [
    'a call works on the disk there',
    (vdi: Row) => OtherHolder.of(`${pool.root(1)}/var/lock/sm/${stringOf(vdi, 'uuid')}/vdi`, 'alone'),
    'has it open',
    'Shut down what uses it there',
  ],
  [
    'something may still be written to the SR there',
    () => OtherHolder.of(`${pool.root(1)}/var/run/rbdsr/late/${srUuid()}.lock`, 'shared'),
    'has it open',
    'Shut down what uses it there',
  ],
  [
    'answered writes may be missing, and nobody was told',
    (vdi: Row) => loss(vdi, 'holding\n'),
    'data may be lost',
    'xe-toolstack-restart',
  ],
  [
    'that was told, and the disk not released since',
    (vdi: Row) => loss(vdi, 'told\n'),
    'data may be lost',
    'xe-toolstack-restart',
  ],
  ['that host is dead', unreachable, 'HOST_OFFLINE', 'xe host-declare-dead uuid='],
])('the mark stays where %s', (_why, open, found, todo) => {
  test('and each command says so, and what to do', async () => {
    const vdi = await markedDisk();
    await using _open = await open(vdi);
    const refused = [
      await failure(vdiDestroy(pool.double, vdi.ref)),
      await failure(vdiResize(pool.double, vdi.ref, 32 * MiB)),
      await failure(vdiActivate(pool.double, host(0).ref, vdi.ref, { writable: true })),
    ];
    for (const { message } of refused) {
      // xapi has an error of its own for a disk in use.
      if (message === 'VDI_IN_USE' && found === 'has it open') continue;
      expect(message).toContain(found);
      expect(message).toContain(todo);
      expect(message).toContain(host(1).ref);
    }
    expect(marksOf(vdi)).toEqual([`host_${host(1).ref}`]);
  });
});

/** The outcome of the second host's NBD server, which is gone. */
async function loss(vdi: Row, outcome: string): Promise<AsyncDisposable> {
  const folder = `${pool.root(1)}/var/run/rbdsr/nbd`;
  mkdirSync(folder, { recursive: true });
  const path = `${folder}/${stringOf(vdi, 'uuid')}.outcome`;
  writeFileSync(path, outcome);
  return {
    [Symbol.asyncDispose]: async () => {
      expect(readFileSync(path, 'utf8')).toBe(outcome);
      rmSync(path);
    },
  };
}

async function unreachable(): Promise<AsyncDisposable> {
  pool.double.offline.add(host(1).ref);
  return { [Symbol.asyncDispose]: async () => void pool.double.offline.delete(host(1).ref) };
}

test("a host that is declared dead: stock's hook has its locks beside a late writer of the SR, and the disk is free", async () => {
  const vdi = await markedDisk();
  await using _dead = await unreachable();
  const late = await OtherHolder.of(`${pool.root(0)}/var/run/rbdsr/late/${srUuid()}.lock`, 'shared');
  try {
    const locks = `${pool.root(0)}/var/lock/sm`;
    await hostDeclaredDead(pool.double, host(1).ref, (sr) => stockHookPasses(locks, sr, 10_000));
    expect(marksOf(vdi)).toEqual([]);
  } finally {
    await late[Symbol.asyncDispose]();
    pbdOn(pool.double, pool.srRef, host(1).ref).fields['currently_attached'] = true;
  }
  await vdiResize(pool.double, vdi.ref, 32 * MiB);
  await vdiDestroy(pool.double, vdi.ref);
});

test('the mark of a host that the pool no longer has goes', async () => {
  const vdi = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 16 * MiB });
  vdi.fields['sm_config'] = { ...mapOf(vdi, 'sm_config'), 'host_OpaqueRef:gone': 'RW' };
  await vdiResize(pool.double, vdi.ref, 32 * MiB);
  expect(marksOf(vdi)).toEqual([]);
});

test('the plug-in tells the host that asks, and takes only its own mark', async () => {
  const vdi = await markedDisk(`host_${host(0).ref}`);
  const args = { sr_uuid: srUuid(), vdi_uuid: stringOf(vdi, 'uuid') };
  expect(await callPlugin(pool.double, host(1).ref, 'rbdsr', 'is_open', args)).toEqual({ value: 'False' });
  expect(marksOf(vdi)).toEqual([`host_${host(0).ref}`]);
});

describe('sr_attach where the SR has been attached all along, as after xe-toolstack-restart', () => {
  async function restart(): Promise<void> {
    const pbd = pool.double.db.where('PBD', 'SR', pool.srRef).find(({ fields }) => fields['host'] === host(1).ref);
    if (pbd === undefined) throw new RangeError('no PBD');
    pbd.fields['currently_attached'] = false;
    await pbdPlug(pool.double, pbd.ref);
  }

  test('the mark of a disk that nothing has open there goes', async () => {
    const vdi = await markedDisk('activating');
    await restart();
    expect(marksOf(vdi)).toEqual([]);
  });

  test('so does that of a disk whose deactivation failed, and said that writes may be missing', async () => {
    const vdi = await markedDisk();
    const folder = `${pool.root(1)}/var/run/rbdsr/nbd`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/${stringOf(vdi, 'uuid')}.outcome`, 'failed: EIO');
    await expect(vdiDeactivate(pool.double, host(1).ref, vdi.ref)).rejects.toThrow('data may be lost');
    expect(marksOf(vdi)).toEqual([`host_${host(1).ref}`]);
    await restart();
    expect(marksOf(vdi)).toEqual([]);
    await vdiDestroy(pool.double, vdi.ref);
  });

  test.each([
    ['a server of the disk runs there', server],
    ['writes may be missing, and nobody was told', (vdi: Row) => loss(vdi, 'holding\n')],
  ])('it stays where %s', async (_why, open) => {
    const vdi = await markedDisk();
    await using _open = await open(vdi);
    await restart();
    expect(marksOf(vdi)).toEqual([`host_${host(1).ref}`]);
  });
});
