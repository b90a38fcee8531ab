import { expect, test } from 'vitest';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { Secret } from '../../../src/base/secret.ts';
import { allHosts, hostByUuid, hostOtherConfig } from '../../../src/xapi/host.ts';
import { addMapKey, removeMapKey, setMapKey } from '../../../src/xapi/map-keys.ts';
import { createMessage } from '../../../src/xapi/message.ts';
import { pbdOf } from '../../../src/xapi/pbd.ts';
import { poolMaster, poolRestrictions } from '../../../src/xapi/pool.ts';
import { configSecret, createSecret, destroySecret } from '../../../src/xapi/secret.ts';
import {
  allSrs,
  setSrTotals,
  srByUuid,
  srNameDescription,
  srNameLabel,
  srOtherConfig,
  srRecord,
  srSmConfig,
  srVdis,
  srVirtualAllocation,
} from '../../../src/xapi/sr.ts';
import {
  changeVdi,
  forgetVdi,
  introduceVdi,
  vdiByUuid,
  vdiRecord,
  vdisOfSr,
  vdiSmConfig,
} from '../../../src/xapi/vdi.ts';
import { NULL_REF } from '../../../src/xapi/values.ts';
import { startPool } from './fixture.ts';

const UUID = '11111111-2222-3333-4444-555555555555';

test.each(['6.5', '7.0', '7.3', 'master'] as const)(
  'a VDI is introduced, read, changed and forgotten on %s',
  async (profileId) => {
    const { xapi, sr, double } = await startPool(profileId);
    const arity = double.profile.dbIntroduceArity;
    const ref = await introduceVdi(xapi, arity, {
      uuid: UUID,
      sr,
      nameLabel: 'disk <0> ü',
      virtualSize: 3 * 2 ** 40,
      physicalUtilisation: 4096,
      smConfig: { vdi_type: 'vhd' },
      isASnapshot: true,
      snapshotTime: '20261124T08:42:56Z',
      managed: false,
      readOnly: true,
    });
    expect(await vdiByUuid(xapi, UUID)).toBe(ref);
    expect(await srVdis(xapi, sr)).toEqual([ref]);
    const [record] = await vdisOfSr(xapi, sr);
    expect(record).toEqual(await vdiRecord(xapi, ref));
    expect(record).toEqual({
      ref,
      uuid: UUID,
      location: UUID,
      sr,
      nameLabel: 'disk <0> ü',
      nameDescription: '',
      type: 'user',
      readOnly: true,
      sharable: false,
      managed: false,
      smConfig: { vdi_type: 'vhd' },
      otherConfig: {},
      virtualSize: 3 * 2 ** 40,
      physicalUtilisation: 4096,
      isASnapshot: true,
      snapshotTime: '20261124T08:42:56Z',
      snapshotOf: NULL_REF,
      metadataOfPool: NULL_REF,
      cbtEnabled: false,
      onBoot: 'persist',
      allowCaching: false,
    });
    const changes = {
      virtualSize: 2 ** 41,
      physicalUtilisation: 5,
      readOnly: false,
      managed: true,
      nameLabel: 'n',
      nameDescription: 'd',
      isASnapshot: false,
      snapshotTime: '20000101T00:00:00Z',
      snapshotOf: ref,
      metadataOfPool: ref,
      ...(arity === 19 ? { cbtEnabled: true } : {}),
    };
    await changeVdi(xapi, ref, changes);
    expect(await vdiRecord(xapi, ref)).toMatchObject(changes);
    expect(await vdiSmConfig(xapi, ref)).toEqual({ vdi_type: 'vhd' });
    await forgetVdi(xapi, ref);
    await forgetVdi(xapi, ref);
    expect(await vdisOfSr(xapi, sr)).toEqual([]);
    expect(double.offences).toEqual([]);
  },
);

test('an SR is read, and its totals are set', async () => {
  const { xapi, sr, double } = await startPool();
  await setSrTotals(xapi, sr, { virtualAllocation: 2 ** 43, physicalSize: 2 ** 44 });
  await setSrTotals(xapi, sr, { physicalUtilisation: 7 });
  const record = await srRecord(xapi, sr);
  expect(record).toMatchObject({
    ref: sr,
    nameLabel: 'ceph',
    type: 'rbd',
    shared: true,
    virtualAllocation: 2 ** 43,
    physicalSize: 2 ** 44,
    physicalUtilisation: 7,
  });
  expect(await allSrs(xapi)).toEqual([record]);
  expect(await srByUuid(xapi, record.uuid)).toBe(sr);
  expect(await srVirtualAllocation(xapi, sr)).toBe(2 ** 43);
  expect([await srNameLabel(xapi, sr), await srNameDescription(xapi, sr)]).toEqual(['ceph', '']);
  expect([await srSmConfig(xapi, sr), await srOtherConfig(xapi, sr)]).toEqual([{}, {}]);
  expect(double.offences).toEqual([]);
});

test('single keys of a map are added, set and removed', async () => {
  const { xapi, sr, double } = await startPool();
  expect(await addMapKey(xapi, 'SR.sm_config', sr, 'use_vhd', 'true')).toBe(true);
  expect(await addMapKey(xapi, 'SR.sm_config', sr, 'use_vhd', 'false')).toBe(false);
  await setMapKey(xapi, 'SR.sm_config', sr, 'use_vhd', 'other');
  await setMapKey(xapi, 'SR.sm_config', sr, 'allocation', 'thick');
  expect(await srSmConfig(xapi, sr)).toEqual({ use_vhd: 'other', allocation: 'thick' });
  await removeMapKey(xapi, 'SR.sm_config', sr, 'use_vhd');
  await removeMapKey(xapi, 'SR.sm_config', sr, 'use_vhd');
  expect(await srSmConfig(xapi, sr)).toEqual({ allocation: 'thick' });
  expect(double.offences).toEqual([]);
});

test('a key somebody adds between remove and add is overwritten; one that always comes back ends in its failure', async () => {
  const { xapi, sr, double } = await startPool();
  const row = double.db.get('SR', sr);
  const rival = (times: number) => ({
    ...xapi,
    close: () => {},
    call: async (method: string, ...params: Parameters<typeof xapi.call> extends [string, ...infer P] ? P : never) => {
      const value = await xapi.call(method, ...params);
      if (method === 'SR.remove_from_sm_config' && times > 0) {
        times -= 1;
        row.fields['sm_config'] = { ...mapOf(row, 'sm_config'), devserial: 'theirs' };
      }
      return value;
    },
  });
  await setMapKey(rival(2), 'SR.sm_config', sr, 'devserial', 'ours');
  expect(await srSmConfig(xapi, sr)).toEqual({ devserial: 'ours' });
  await expect(setMapKey(rival(1000), 'SR.sm_config', sr, 'devserial', 'ours')).rejects.toMatchObject({
    detail: { facts: { xapiCode: 'MAP_DUPLICATE_KEY' } },
  });
});

test('host, pool and PBD', async () => {
  const { xapi, sr, double } = await startPool();
  const host = double.master;
  const [record] = await allHosts(xapi);
  expect(record).toMatchObject({ ref: host.ref, nameLabel: 'host1', enabled: true, otherConfig: {} });
  expect(await hostByUuid(xapi, record?.uuid ?? '')).toBe(host.ref);
  expect(await hostOtherConfig(xapi, host.ref)).toEqual({});
  expect([await poolMaster(xapi), await poolRestrictions(xapi)]).toEqual([host.ref, {}]);
  expect(await pbdOf(xapi, sr, host.ref)).toBeUndefined();
  double.db.create('PBD', { SR: sr, host: host.ref, device_config: { target: 't' } });
  expect(await pbdOf(xapi, sr, host.ref)).toMatchObject({ deviceConfig: { target: 't' }, currentlyAttached: false });
  expect(await pbdOf(xapi, sr, 'OpaqueRef:other')).toBeUndefined();
});

test('a secret is found by its uuid, wins over the clear text, and is missed when it is gone', async () => {
  const { xapi } = await startPool();
  const uuid = await createSecret(xapi, new Secret('geheim'), 'an SR');
  const config = { chappassword: 'clear', chappassword_secret: uuid };
  expect((await configSecret(xapi, config, 'chappassword'))?.reveal()).toBe('geheim');
  expect((await configSecret(xapi, { chappassword: 'clear' }, 'chappassword'))?.reveal()).toBe('clear');
  expect(await configSecret(xapi, {}, 'chappassword')).toBeUndefined();
  await destroySecret(xapi, uuid);
  await destroySecret(xapi, uuid);
  await expect(configSecret(xapi, config, 'chappassword')).rejects.toMatchObject({ code: 'invalid-secret' });
});

test('a message is created', async () => {
  const { xapi, double } = await startPool();
  await createMessage(xapi, { name: 'POST_ATTACH_SCAN_FAILED', priority: 2, about: 'SR', uuid: UUID, body: 'why' });
  expect(double.db.all('message').map(({ fields }) => fields)).toMatchObject([
    { name: 'POST_ATTACH_SCAN_FAILED', priority: 2, cls: 'SR', obj_uuid: UUID, body: 'why' },
  ]);
});
