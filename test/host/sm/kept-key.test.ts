import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { type LoopPool, loopPool, loseAttachRecord } from '../../support/loop-pool.ts';

let pool: LoopPool;
beforeAll(async () => {
  pool = await loopPool();
});
afterAll(() => pool[Symbol.asyncDispose]());

const secret = (uuid: string | undefined): Row | undefined => pool.double.db.where('secret', 'uuid', uuid ?? '')[0];

function pbdOf(index: number): Row {
  return pbdOn(pool.double, pool.srRef, pool.double.hosts[index]?.ref ?? '');
}

function kept(): string | undefined {
  return mapOf(pool.double.db.get('SR', pool.srRef), 'sm_config')['rbd_password_secret'];
}

/** As a host that has just started. */
async function plugAgain(index: number): Promise<void> {
  const pbd = pbdOf(index);
  pbd.fields['currently_attached'] = false;
  loseAttachRecord(pool.root(index), stringOf(pool.double.db.get('SR', pool.srRef), 'uuid'));
  await pbdPlug(pool.double, pbd.ref);
}

test('an SR keeps its key, and plugs by it on every host whose PBD names a secret that is gone', async () => {
  const { db } = pool.double;
  const own = secret(kept());
  expect(own?.fields['value']).toBe(secret(mapOf(pbdOf(0), 'device_config')['password_secret'])?.fields['value']);
  // As SR.create leaves them: all name one, which has died with the PBD of a host that left.
  for (const index of [0, 1]) {
    const named = secret(mapOf(pbdOf(index), 'device_config')['password_secret']);
    db.destroy('secret', named?.ref ?? '');
  }
  for (const index of [0, 1]) await plugAgain(index);
  expect(secret(kept())).toBe(own);

  db.destroy('secret', own?.ref ?? '');
  await expect(plugAgain(1)).rejects.toThrow(/FAILURE_20 .*password_secret/);
});

test("the master's plug keeps what device_config says now, and makes a secret anew that is gone", async () => {
  const { db } = pool.double;
  const key = 'AQBBnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==';
  const config = mapOf(pbdOf(0), 'device_config');
  const given = stringOf(db.create('secret', { value: key }), 'uuid');
  pbdOf(0).fields['device_config'] = { ...config, password_secret: given };
  const before = kept();
  await plugAgain(0);
  expect(kept()).not.toBe(before);
  expect(secret(kept())?.fields['value']).toBe(key);

  const changed = 'AQCCnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==';
  Object.assign(secret(given)?.fields ?? {}, { value: changed });
  const same = kept();
  await plugAgain(0);
  expect(kept()).toBe(same);
  expect(secret(kept())?.fields['value']).toBe(changed);
});

test('what device_config names and is no key is refused by name, although the SR keeps one', async () => {
  expect(secret(kept())?.fields['value']).toMatch(/^AQ/);
  const { password_secret: given } = mapOf(pbdOf(0), 'device_config');
  Object.assign(secret(given)?.fields ?? {}, { value: 'not a key' });
  await expect(plugAgain(0)).rejects.toThrow(/FAILURE_20 .*device-config password_secret: .*is not a cephx key/);
});
