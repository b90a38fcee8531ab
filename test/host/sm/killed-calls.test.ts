import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
  vdiResize,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { type LoopPool, loseAttachRecord } from '../../support/loop-pool.ts';
import { PoolWithDisk } from './pool-with-disk.ts';

// The driver is killed in the middle of a call of xapi's, at every point where that leaves something
// (docs/recovery.md); then what that page says mends it is done, and records, volumes and metadata agree, and a disk
// with known content still has it. What needs the kernel's device-mapper, NBD or RBD client is in
// test/lab/scenarios/crashes.ts; every step of using a disk, with stand-ins for those, in every-step-of-use.test.ts.

let made: PoolWithDisk;
let pool: LoopPool;
let kept: Row;
beforeAll(async () => {
  made = await PoolWithDisk.make();
  ({ pool, kept } = made);
});
afterAll(() => made[Symbol.asyncDispose]());

const create: PoolWithDisk['create'] = (more) => made.create(more);
const scan = (): Promise<void> => made.scan();
const others = (): Row[] => made.others();
const mib = (row: Row): number => Number(row.fields['virtual_size']) / MiB;
const killedAt: PoolWithDisk['killedAt'] = (point, call) => made.killedAt(point, call);
const allIsWell = (): Promise<void> => made.allIsWell();

test.each([
  ['vdi-create.after-lv', {}, 0],
  ['vdi-create.after-vhd', {}, 0],
  ['vdi-create.after-volume', {}, 1],
  ['mgt.add.record-written', {}, 1],
  ['vdi-create.after-metadata', {}, 1],
  ['vdi-create.after-introduce', {}, 1],
  ['vdi-create.after-lv', { smConfig: { type: 'raw' } }, 0],
  ['vdi-create.after-ends', { smConfig: { type: 'raw' } }, 0],
  ['vdi-create.after-volume', { smConfig: { type: 'raw' } }, 1],
] as const)(
  'vdi_create killed at %s %j: after sr_scan there is no disk or a whole one: %i',
  async (point, more, found) => {
    await killedAt(point, () => create(more));
    await scan();
    expect(others()).toHaveLength(found);
    await allIsWell();
    await create({ nameLabel: 'another' });
    for (const { ref } of others()) await vdiDestroy(pool.double, ref);
    await allIsWell();
  },
);

test.each([
  ['vdi-delete.after-hidden', 'deleting it again'],
  ['vdi-delete.after-metadata', 'deleting it again'],
  ['mgt.delete.record-written', 'sr_scan'],
  ['vdi-delete.after-lv', 'sr_scan'],
])('vdi_delete killed at %s: the disk is gone after %s', async (point, mend) => {
  const { ref } = await create();
  await killedAt(point, () => vdiDestroy(pool.double, ref));
  await (mend === 'sr_scan' ? scan() : vdiDestroy(pool.double, ref));
  expect(others()).toEqual([]);
  await allIsWell();
});

/** Whose marks say that the new size is not there yet, and whose that it is. */
const RESIZE_POINTS = [
  ['inflate.journal-created', 'old'],
  ['inflate.resized', 'old'],
  ['inflate.zeroed', 'old'],
  ['inflate.footer-written', 'old'],
  ['vdi-resize.after-lv', 'either'],
  ['vdi-resize.after-vhd', 'new'],
] as const;

test.each(RESIZE_POINTS)(
  'vdi_resize killed at %s: after sr_scan the disk has its %s size, and is resized by asking again',
  async (point, which) => {
    const [old, wanted] = [mib(kept), mib(kept) + 4];
    const resize = (): Promise<unknown> => vdiResize(pool.double, kept.ref, wanted * MiB);
    await killedAt(point, resize);
    await scan();
    expect({ old: [old], new: [wanted], either: [old, wanted] }[which]).toContain(mib(kept));
    await resize();
    expect(mib(kept)).toBe(wanted);
    await allIsWell();
  },
);

test.each(['undo-inflate.writable', 'undo-inflate.zeroed', 'deflate.footer-written', 'undo-inflate.resized'])(
  'the scan that undoes a vdi_resize killed at %s: the next one goes on',
  async (point) => {
    const old = mib(kept);
    await killedAt('inflate.footer-written', () => vdiResize(pool.double, kept.ref, (old + 4) * MiB));
    await killedAt(point, scan);
    await scan();
    expect(mib(kept)).toBe(old);
    await allIsWell();
  },
);

test('the resize of a raw disk killed at vdi-resize.after-lv: sr_scan tells xapi its new size', async () => {
  const raw = await create({ smConfig: { type: 'raw' } });
  await killedAt('vdi-resize.after-lv', () => vdiResize(pool.double, raw.ref, 12 * MiB));
  await scan();
  expect(mib(raw)).toBe(12);
  await vdiDestroy(pool.double, raw.ref);
  await allIsWell();
});

const keys = (): string[] => Object.keys(mapOf(kept, 'sm_config')).filter((key) => /^(host_|activating$)/.test(key));

test.each(['vdi-activate.activating', 'vdi-activate.after-claim'])(
  'vdi_activate killed at %s: vdi_deactivate takes every mark away',
  async (point) => {
    const { double } = pool;
    const host = double.master.ref;
    await vdiAttach(double, host, kept.ref, { writable: true });
    await killedAt(point, () => vdiActivate(double, host, kept.ref, { writable: true }));
    expect(keys()).toContain('activating');
    await vdiDeactivate(double, host, kept.ref);
    await vdiDetach(double, host, kept.ref);
    expect(keys()).toEqual([]);
    await allIsWell();
  },
);

test('vdi_activate killed at vdi-activate.activating: the next one takes the place of nobody', async () => {
  const { double } = pool;
  const host = double.master.ref;
  const activate = (): Promise<void> => vdiActivate(double, host, kept.ref, { writable: true });
  await vdiAttach(double, host, kept.ref, { writable: true });
  await killedAt('vdi-activate.activating', activate);
  await killedAt('vdi-activate.after-claim', activate);
  expect(keys().sort()).toEqual(['activating', `host_${host}`]);
  await vdiDeactivate(double, host, kept.ref);
  await vdiDetach(double, host, kept.ref);
});

test('a host that attaches the SR takes away what it was activating, and nothing of another host', async () => {
  const { double, srRef } = pool;
  const [master, slave] = double.hosts.map(({ ref }) => ref);
  const smConfig = mapOf(kept, 'sm_config');
  const attachedAgain = async (marks: Record<string, string>): Promise<string[]> => {
    kept.fields['sm_config'] = { ...smConfig, ...marks };
    // As after a restart of the host.
    const pbd = pbdOn(double, srRef, slave ?? '');
    pbd.fields['currently_attached'] = false;
    loseAttachRecord(pool.root(1), stringOf(double.db.get('SR', srRef), 'uuid'));
    await pbdPlug(double, pbd.ref);
    return keys().sort();
  };
  expect(await attachedAgain({ activating: 'True', [`host_${slave}`]: 'RW' })).toEqual([]);
  const theirs = { activating: 'True', [`host_${master}`]: 'RW' };
  expect(await attachedAgain(theirs)).toEqual(Object.keys(theirs).sort());
  kept.fields['sm_config'] = smConfig;
});
