import { expect, test } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import {
  srCreate,
  srDestroy,
  srForget,
  srIntroduce,
  srProbe,
  srScan,
  srUpdate,
  unplugAll,
} from '../../../lab/xapi-double/sr-operations.ts';
import { startDriverPool, startSrPool } from './fixture.ts';

const config = { target: '10.0.0.1', chapuser: 'u', chappassword: 'geheim' };

test('SR.create makes the records, runs sr_create on the master and plugs every host, master first', async () => {
  const { double, requests } = await startDriverPool('7.3');
  const { sr, plugErrors } = await srCreate(double, { type: 'stock', deviceConfig: config, smConfig: { a: 'b' } });
  expect(plugErrors).toEqual([]);
  const [master, slave] = double.hosts.map(({ ref }) => ref);
  const seen = requests();
  expect(seen.map(({ command, host_ref, args, device_config }) => [command, host_ref, args, device_config])).toEqual([
    ['sr_create', master, ['0'], { SRmaster: 'true', ...config }],
    ['sr_attach', master, [], { SRmaster: 'true', ...config }],
    ['sr_attach', slave, [], { SRmaster: 'false', ...config }],
  ]);
  expect(Object.keys(seen[0] ?? {})).toEqual([
    'host_ref',
    'command',
    'args',
    'device_config',
    'session_ref',
    'sr_ref',
    'sr_uuid',
    'subtask_of',
  ]);
  expect(seen[0]).toMatchObject({ sr_ref: sr.ref, sr_uuid: stringOf(sr, 'uuid') });
  expect(double.db.where('PBD', 'SR', sr.ref).map(({ fields }) => fields['currently_attached'])).toEqual([true, true]);
  expect([double.sessions.size, double.offences]).toEqual([0, []]);
});

test("from 8.2 on passwords become secrets; after SR.create all PBDs share the first one's", async () => {
  const { double, requests } = await startDriverPool('8.2');
  const { sr } = await srCreate(double, { type: 'stock', deviceConfig: config });
  const [first, second] = double.db.where('PBD', 'SR', sr.ref).map((pbd) => mapOf(pbd, 'device_config'));
  expect(Object.keys(first ?? {})).toEqual(['target', 'chapuser', 'chappassword_secret']);
  expect(second).toEqual(first);
  expect(requests().map(({ device_config }) => device_config['chappassword'])).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const uuid = first?.['chappassword_secret'] ?? '';
  expect(stringOf(double.db.byUuid('secret', uuid), 'value')).toBe('geheim');
  await srForget(double, sr.ref);
  expect(double.db.where('secret', 'uuid', uuid)).toEqual([]);
});

test('when sr_create fails no record stays and the fault is what the caller gets', async () => {
  const { double, behave } = await startDriverPool();
  behave({ sr_create: { fault: [107, 'SCSIid missing [opterr=x]'], stderr: '<iscsi-target/>' } });
  await expect(srCreate(double, { type: 'stock', deviceConfig: {} })).rejects.toMatchObject({
    description: ['SR_BACKEND_FAILURE_107', '', 'SCSIid missing [opterr=x]', '<iscsi-target/>'],
    backendNumber: 107,
  });
  expect([double.db.all('SR'), double.db.all('PBD'), double.sessions.size]).toEqual([[], [], 0]);
});

test('a plug that fails does not fail SR.create', async () => {
  const { double, behave } = await startDriverPool();
  behave({ sr_attach: { fault: [47, 'not available'] } });
  const { sr, plugErrors } = await srCreate(double, { type: 'stock', deviceConfig: {} });
  expect(plugErrors).toMatchObject([{ code: 'SR_BACKEND_FAILURE_47' }, { code: 'SR_BACKEND_FAILURE_47' }]);
  expect(double.db.where('PBD', 'SR', sr.ref).map(({ fields }) => fields['currently_attached'])).toEqual([
    false,
    false,
  ]);
});

test('a probe has no SR, and its session may not touch one', async () => {
  const { double, requests, behave } = await startDriverPool();
  expect(await srProbe(double, { type: 'stock', deviceConfig: config, smConfig: { k: 'v' } })).toBe('<SRlist/>');
  const [request] = requests();
  expect(Object.keys(request ?? {})).toEqual([
    'host_ref',
    'command',
    'args',
    'device_config',
    'session_ref',
    'sr_sm_config',
    'subtask_of',
  ]);
  expect(request).toMatchObject({ device_config: { SRmaster: 'true' }, sr_sm_config: { k: 'v' } });
  const other = double.db.create('SR', { type: 'stock' }).ref;
  behave({ sr_probe: { calls: [['SR.set_physical_size', [other, '1']]] } });
  await expect(srProbe(double, { type: 'stock', deviceConfig: {} })).rejects.toThrow('RBAC_PERMISSION_DENIED');
});

test('a scan is a scan and an update on the master; it takes its request away', async () => {
  const { double, sr, requests } = await startSrPool();
  const row = double.db.get('SR', sr);
  row.fields['other_config'] = { dirty: '', 'auto-scan': 'true' };
  await srScan(double, sr);
  expect(requests().map(({ command, host_ref }) => [command, host_ref])).toEqual([
    ['sr_scan', double.master.ref],
    ['sr_update', double.master.ref],
  ]);
  expect(mapOf(row, 'other_config')).toEqual({ 'auto-scan': 'true' });
  await srUpdate(double, sr);
  expect(requests().map(({ command }) => command)).toEqual(['sr_update']);
});

test('a scan whose update fails fails, and its request stays: xapi scans again', async () => {
  const { double, sr, behave } = await startSrPool();
  double.db.get('SR', sr).fields['other_config'] = { dirty: '' };
  behave({ sr_update: { fault: [181, 'no'] } });
  await expect(srScan(double, sr)).rejects.toThrow();
  expect(mapOf(double.db.get('SR', sr), 'other_config')).toEqual({ dirty: '' });
});

test('SR.destroy attaches and deletes, and does not detach', async () => {
  const { double, sr, requests } = await startSrPool();
  await expect(srDestroy(double, sr)).rejects.toMatchObject({ code: 'SR_HAS_PBD' });
  await unplugAll(double, sr);
  requests();
  await srDestroy(double, sr);
  expect(requests().map(({ command }) => command)).toEqual(['sr_attach', 'sr_delete']);
  expect([double.db.all('SR'), double.db.all('PBD'), double.offences]).toEqual([[], [], []]);
});

test('an SR.destroy that fails detaches and keeps the records', async () => {
  const { double, sr, requests, behave } = await startSrPool();
  await unplugAll(double, sr);
  requests();
  behave({ sr_delete: { fault: [39, 'not empty'] } });
  await expect(srDestroy(double, sr)).rejects.toMatchObject({ code: 'SR_NOT_EMPTY' });
  expect(requests().map(({ command }) => command)).toEqual(['sr_attach', 'sr_delete', 'sr_detach']);
  expect(double.db.where('PBD', 'SR', sr).map(({ fields }) => fields['currently_attached'])).toEqual([false, false]);
});

test('an SR is introduced again without a call to the driver', async () => {
  const { double, requests } = await startDriverPool();
  const uuid = '11111111-2222-3333-4444-555555555555';
  const sr = srIntroduce(double, { type: 'stock', uuid, deviceConfig: config });
  expect([stringOf(sr, 'uuid'), requests(), double.db.where('PBD', 'SR', sr.ref).length]).toEqual([uuid, [], 2]);
  expect(() => srIntroduce(double, { type: 'none', uuid, deviceConfig: {} })).toThrow('SR_UNKNOWN_DRIVER');
});
