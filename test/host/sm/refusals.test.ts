import { existsSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srCreate, srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy, vdiResize } from '../../../lab/xapi-double/vdi-operations.ts';
import { GiB, MiB } from '../../../src/base/units.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { type LoopPool, loopPool, loseAttachRecord } from '../../support/loop-pool.ts';

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool();
});
afterAll(() => pool[Symbol.asyncDispose]());

/**
 * Everything a refused command must leave as it was: xapi's records and the volumes. xapi itself leaves secrets behind
 * that nobody names.
 */
async function state(): Promise<unknown> {
  const { db } = pool.double;
  const records = (['SR', 'PBD', 'VDI'] as const).map((kind) => structuredClone(db.all(kind)));
  const named = JSON.stringify(records);
  const secrets = db
    .all('secret')
    .filter((secret) => named.includes(stringOf(secret, 'uuid')) || 'rbdsr' in mapOf(secret, 'other_config'));
  return { records, secrets: structuredClone(secrets), lvs: (await pool.sr.report()).lvs };
}

async function refused(work: () => Promise<unknown>, ...says: readonly RegExp[]): Promise<void> {
  const before = await state();
  const message = await work().then(
    () => 'not refused',
    (error: unknown) => String(error),
  );
  for (const text of says) expect(message).toMatch(text);
  expect(await state()).toEqual(before);
}

const create = (virtualSize: number, nameLabel = 'disk') =>
  vdiCreate(pool.double, { sr: pool.srRef, virtualSize, nameLabel });

test.each([
  ['larger than the format', 2040 * GiB + 1, /FAILURE_79 .*expected 0 to 2190433320960 bytes.*found 2190433320961/],
  ['of less than nothing', -1, /FAILURE_79 .*found -1/],
  ['there is no room for', 2 * GiB, /FAILURE_44 .*no room for a disk of 2 GiB.*Delete disks or grow the RBD image/],
])('a disk %s', async (_what, bytes, says) => {
  await refused(() => create(bytes), says);
});

test('growing a disk beyond the format, beyond the room there is, and to less than it has', async () => {
  const { ref } = await create(16 * MiB);
  for (const [bytes, says] of [
    [2040 * GiB + 1, /FAILURE_79 /],
    [3 * GiB, /FAILURE_44 .*no room/],
    [8 * MiB, /FAILURE_79 .*cannot be made smaller/],
  ] as const) {
    await refused(() => vdiResize(pool.double, ref, bytes), says);
  }
  await vdiDestroy(pool.double, ref);
});

test('a name with a character that XML cannot carry', async () => {
  await refused(() => create(16 * MiB, 'a\uFFFEb'), /FAILURE_143 .*disallowed character/);
});

test('a second SR on the image of the first', async () => {
  const deviceConfig = mapOf(pbdOn(pool.double, pool.srRef, pool.double.master.ref), 'device_config');
  await refused(() => srCreate(pool.double, { type: 'rbd', deviceConfig }), /SR_DEVICE_IN_USE/);
});

test('an SR on an image to be made that is too small for one', async () => {
  const config = mapOf(pbdOn(pool.double, pool.srRef, pool.double.master.ref), 'device_config');
  const deviceConfig = { ...config, image: 'other', size: '32MiB' };
  await refused(() => srCreate(pool.double, { type: 'rbd', deviceConfig }), /FAILURE_91 .*at least 64 MiB.*32 MiB/);
});

test.skipIf(kernelTraits().aes256k)('an SR and a plug by a cephx key that the kernel cannot use', async () => {
  const { db, master } = pool.double;
  const pbd = pbdOn(pool.double, pool.srRef, master.ref);
  const before = mapOf(pbd, 'device_config');
  const value = sampleKey('aes256k').reveal();
  const config = { ...before, password_secret: stringOf(db.create('secret', { value }), 'uuid') };
  const says = /FAILURE_448 .*of type aes256k.*ceph auth rotate --key-type aes client[.]/;
  const made = { ...config, image: 'other', size: '1GiB' };
  await refused(() => srCreate(pool.double, { type: 'rbd', deviceConfig: made }), says);
  // A plug with nothing mapped yet; the copy that the SR keeps stays what it is.
  Object.assign(pbd.fields, { device_config: config, currently_attached: false });
  loseAttachRecord(pool.root(0), stringOf(db.get('SR', pool.srRef), 'uuid'));
  await refused(() => pbdPlug(pool.double, pbd.ref), says);
  pbd.fields['device_config'] = before;
  await pbdPlug(pool.double, pbd.ref);
});

test('a VHD that is damaged: the scan names it and changes no record', async () => {
  const vdi = await create(16 * MiB);
  const uuid = stringOf(vdi, 'uuid');
  const lv = await pool.sr.openLv(`VHD-${uuid}`, 'write');
  await lv.write(0, Buffer.alloc(4096, 'x'));
  await refused(() => srScan(pool.double, pool.srRef), /FAILURE_46 /, new RegExp(uuid), /rbdsr vhd check/);
  await vdiDestroy(pool.double, vdi.ref);
  await srScan(pool.double, pool.srRef);
  expect(pool.double.db.where('VDI', 'SR', pool.srRef)).toEqual([]);
});

test.skipIf(existsSync('/sys/module/rbd'))('a kernel without an RBD client', async () => {
  const { double, srRef } = pool;
  const pbd = pbdOn(double, srRef, double.hosts[1]?.ref ?? '');
  pbd.fields['currently_attached'] = false;
  loseAttachRecord(pool.root(1), stringOf(double.db.get('SR', srRef), 'uuid'));
  rmSync(`${pool.root(1)}/sys/bus/rbd`, { recursive: true });
  await refused(() => pbdPlug(double, pbd.ref), /FAILURE_448 .*kernel module rbd cannot be loaded/);
});
