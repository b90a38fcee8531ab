import { expect, test } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { attachFromConfig, detachFromConfig } from '../../../lab/xapi-double/static-vdis.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiClone,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
  vdiGenerateConfig,
  vdiResize,
  vdiSnapshot,
  vdiUpdate,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { startSrPool } from './fixture.ts';

const UUID = '99999999-2222-3333-4444-555555555555';

test('a VDI is created, resized, updated, copied and destroyed, each on the master', async () => {
  const { double, sr, requests } = await startSrPool();
  const vdi = await vdiCreate(double, {
    sr,
    virtualSize: 2 ** 40,
    nameLabel: 'a < ü',
    smConfig: { type: 'raw' },
    uuid: UUID,
  });
  expect(stringOf(vdi, 'uuid')).toBe(UUID);
  await vdiResize(double, vdi.ref, 2 ** 41);
  expect(vdi.fields['virtual_size']).toBe(2 ** 41);
  await vdiUpdate(double, vdi.ref);
  const snapshot = await vdiSnapshot(double, vdi.ref, '20261124T00:00:00Z');
  expect(snapshot.fields).toMatchObject({
    is_a_snapshot: true,
    snapshot_of: vdi.ref,
    snapshot_time: '20261124T00:00:00Z',
    name_label: 'label',
  });
  await vdiClone(double, snapshot.ref);
  await vdiDestroy(double, vdi.ref);
  const seen = requests();
  expect(seen.map(({ command }) => command)).toEqual([
    'vdi_create',
    'vdi_resize',
    'vdi_update',
    'vdi_snapshot',
    'vdi_update',
    'vdi_clone',
    'vdi_update',
    'vdi_delete',
  ]);
  expect(seen[0]).toMatchObject({
    args: ['1099511627776', 'a < ü', '', '', 'false', '19700101T00:00:00Z', '', 'false'],
    vdi_type: 'user',
    vdi_uuid: UUID,
    vdi_sm_config: { type: 'raw' },
  });
  expect(Object.keys(seen[1] ?? {})).toEqual([
    'host_ref',
    'command',
    'args',
    'device_config',
    'session_ref',
    'sr_ref',
    'sr_uuid',
    'vdi_ref',
    'vdi_location',
    'vdi_uuid',
    'subtask_of',
    'vdi_on_boot',
    'vdi_allow_caching',
  ]);
  expect(seen[3]).toMatchObject({ driver_params: {} });
  expect(new Set(seen.map(({ host_ref }) => host_ref))).toEqual(new Set([double.master.ref]));
  expect([double.offences, double.sessions.size]).toEqual([[], 0]);
});

test('a disk is attached, activated, in use, and given back, on the host that asks', async () => {
  const { double, sr, requests } = await startSrPool();
  const [, slave] = double.hosts;
  const host = slave?.ref ?? '';
  const vdi = await vdiCreate(double, { sr, virtualSize: 1 });
  requests();
  const info = await vdiAttach(double, host, vdi.ref, { writable: true });
  expect(info).toEqual({ params: '/dev/x', paramsNbd: '', oDirect: true, oDirectReason: 'R', xenstoreData: {} });
  await vdiActivate(double, host, vdi.ref, { writable: true });
  expect(double.db.where('VBD', 'VDI', vdi.ref)).toMatchObject([{ fields: { currently_attached: true, mode: 'RW' } }]);
  await expect(vdiDestroy(double, vdi.ref)).rejects.toMatchObject({ code: 'VDI_IN_USE' });
  await expect(vdiResize(double, vdi.ref, 2)).rejects.toMatchObject({ code: 'VDI_IN_USE' });
  const [pbd] = double.db.where('PBD', 'host', host);
  await expect(pbdUnplug(double, pbd?.ref ?? '')).rejects.toMatchObject({ code: 'VDI_IN_USE' });
  await vdiDeactivate(double, host, vdi.ref);
  await vdiDetach(double, host, vdi.ref);
  expect(double.db.where('VBD', 'VDI', vdi.ref)).toEqual([]);
  expect(requests().map(({ command, args, host_ref }) => [command, args, host_ref])).toEqual([
    ['vdi_attach', ['true'], host],
    ['vdi_activate', ['true'], host],
    ['vdi_deactivate', [], host],
    ['vdi_detach', [], host],
  ]);
  const hostUuid = stringOf(double.db.get('host', host), 'uuid');
  expect(vdi.fields['sm_config']).toEqual({
    vdi_type: 'vhd',
    [`read-caching-enabled-on-${hostUuid}`]: 'false',
    [`read-caching-reason-${hostUuid}`]: 'R',
  });
});

test('the document of a static VDI goes back to the driver as it is', async () => {
  const { double, sr } = await startSrPool();
  const vdi = await vdiCreate(double, { sr, virtualSize: 1 });
  const document = await vdiGenerateConfig(double, double.master.ref, vdi.ref);
  expect(document).toContain('<methodName>vdi_attach_from_config</methodName>');
  expect(await attachFromConfig(double, double.master.ref, 'stock', document)).toMatchObject({ params: '/dev/x' });
  await detachFromConfig(double, double.master.ref, 'stock', document);
});

test('no disk command where the SR is not plugged', async () => {
  const { double, sr } = await startSrPool();
  const [pbd] = double.db.where('PBD', 'SR', sr);
  await pbdUnplug(double, pbd?.ref ?? '');
  await expect(vdiCreate(double, { sr, virtualSize: 1 })).rejects.toMatchObject({ code: 'SR_NOT_ATTACHED' });
});

test('a driver that forgets to forget, and one whose answer names no record', async () => {
  const { double, sr, behave } = await startSrPool();
  const vdi = await vdiCreate(double, { sr, virtualSize: 1 });
  behave({ vdi_delete: { value: null }, vdi_create: { value: { location: UUID, uuid: UUID } } });
  await vdiDestroy(double, vdi.ref);
  expect(double.offences).toMatchObject([{ call: 'vdi_delete' }]);
  await expect(vdiCreate(double, { sr, virtualSize: 1 })).rejects.toMatchObject({ code: 'VDI_NOT_IN_MAP' });
});
