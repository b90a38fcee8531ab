import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { driverOf, pbdOn, runDriver, srCall } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { srProbe, srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { attachFromConfig, detachFromConfig } from '../../../lab/xapi-double/static-vdis.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
  vdiGenerateConfig,
  vdiResize,
  vdiSnapshot,
  vdiUpdate,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { makeManyVdis, manyVdisBytes } from '../../support/lvhd-many-vdis.ts';
import { LAUNCHER, type LoopPool, loopPool } from '../../support/loop-pool.ts';

test.each([10, 100])('sr_scan of %i disks runs at most two LVM programs, and none for a disk', async (count) => {
  await using pool = await loopPool({
    sizeBytes: manyVdisBytes(count) + 64 * MiB,
    populate: (sr) => makeManyVdis(sr, count),
  });
  const { double, srRef } = pool;
  expect(double.db.where('VDI', 'SR', srRef)).toHaveLength(count);
  const programs = await pool.programsOf(() => srScan(double, srRef));
  expect(programs).toContain('lvm');
  expect(programs.filter((name) => name === 'lvm').length).toBeLessThanOrEqual(2);
  expect(programs.filter((name) => name !== 'lvm' && !LAUNCHER.includes(name))).toEqual([]);
});

/** A guest waits: what has to be changed, and nothing is looked up. */
const IN_PAUSE: Readonly<Record<string, string>> = {
  'vdi_snapshot of a disk in use on another host': 'lvrename lvresize lvcreate lvrename lvremove',
};

/**
 * What each command asks of LVM, in order; how often it opens the SR's device itself; what it calls of xapi. A command
 * on another host includes what the master does for it. There is no device-mapper here: an activation ends with the
 * node that does not appear, or with LVM's complaint, and is undone. What a change of LVM's has come to is read from
 * the device, so that no report follows one.
 */
const TABLE: Readonly<Record<string, readonly [lvm: string, opens: number, xapi: string]>> = {
  'sr_attach of a new SR on the master': [
    'pvs lvcreate lvrename lvchange',
    2,
    'SR.add_to_other_config SR.add_to_sm_config*2 SR.get_record SR.get_sm_config SR.remove_from_sm_config SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.get_all_records_where secret.create secret.get_by_uuid secret.get_uuid secret.get_value',
  ],
  'sr_attach on another host': [
    'pvs',
    1,
    'SR.get_record VDI.get_all_records_where secret.get_by_uuid secret.get_value',
  ],
  'sr_attach of a mapped image on the master': [
    'pvs lvchange',
    2,
    'SR.add_to_other_config SR.get_record SR.get_sm_config SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.get_all_records_where secret.get_by_uuid*2 secret.get_value*2',
  ],
  'sr_attach of a mapped image on another host': [
    'pvs',
    1,
    'SR.get_record VDI.get_all_records_where secret.get_by_uuid secret.get_value',
  ],
  sr_scan: [
    'pvs',
    1,
    'SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.get_all_records_where',
  ],
  sr_update: ['pvs', 1, 'SR.get_record SR.set_physical_size SR.set_physical_utilisation'],
  vdi_create: [
    'pvs lvcreate lvrename',
    1,
    'SR.get_virtual_allocation SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.db_introduce',
  ],
  'vdi_create of a raw disk': [
    'pvs lvcreate lvrename',
    1,
    'SR.get_virtual_allocation SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.db_introduce',
  ],
  vdi_update: ['pvs', 1, 'VDI.get_record'],
  vdi_attach: ['', 0, ''],
  vdi_detach: ['', 0, ''],
  'vdi_activate for reading': [
    'pvs lvchange',
    1,
    'VDI.add_to_sm_config*2 VDI.get_sm_config*2 VDI.remove_from_sm_config*2',
  ],
  'vdi_activate for writing': [
    'pvs pvs lvcreate lvresize lvremove lvchange',
    2,
    'SR.set_physical_size SR.set_physical_utilisation VDI.add_to_sm_config*2 VDI.get_by_uuid VDI.get_sm_config*2 VDI.remove_from_sm_config*2 VDI.set_physical_utilisation',
  ],
  'vdi_activate for writing on another host': [
    'pvs pvs lvcreate lvresize lvremove lvchange lvchange pvs',
    2,
    'SR.get_by_uuid SR.set_physical_size SR.set_physical_utilisation VDI.add_to_sm_config*2 VDI.get_by_uuid VDI.get_sm_config*2 VDI.remove_from_sm_config*2 VDI.set_physical_utilisation host.call_plugin host.get_by_uuid pool.get_all*2 pool.get_master*2',
  ],
  'vdi_deactivate of a disk that gives back room': [
    'pvs pvs lvresize',
    2,
    'SR.set_physical_size SR.set_physical_utilisation VDI.get_by_uuid VDI.get_record VDI.remove_from_sm_config VDI.set_physical_utilisation',
  ],
  'vdi_deactivate on another host': ['pvs', 1, 'VDI.get_record VDI.remove_from_sm_config'],
  vdi_generate_config: ['', 0, 'secret.get_by_uuid secret.get_value'],
  vdi_attach_from_config: ['pvs', 2, ''],
  vdi_detach_from_config: ['pvs', 1, ''],
  vdi_resize: [
    'pvs',
    1,
    'SR.get_virtual_allocation SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.get_sm_config VDI.set_physical_utilisation VDI.set_virtual_size',
  ],
  'vdi_snapshot of a disk in use on another host': [
    'pvs lvcreate lvchange lvrename lvresize lvcreate lvrename lvremove lvchange lvcreate lvrename pvs pvs',
    4,
    'SR.get_by_uuid*2 SR.get_virtual_allocation SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.add_to_sm_config*4 VDI.db_introduce*2 VDI.get_record*2 VDI.get_sm_config*2 VDI.remove_from_sm_config*4 VDI.set_physical_utilisation host.call_plugin*2 host.get_by_uuid*2',
  ],
  vdi_delete: [
    'pvs lvchange lvremove',
    1,
    'SR.get_virtual_allocation SR.set_physical_size SR.set_physical_utilisation SR.set_virtual_allocation VDI.db_forget VDI.get_record',
  ],
  'the plug-in’s deflate': [
    'pvs lvresize',
    1,
    'SR.get_by_uuid SR.set_physical_size SR.set_physical_utilisation VDI.get_by_uuid*2 VDI.get_sm_config VDI.set_physical_utilisation host.get_by_uuid pool.get_all pool.get_master',
  ],
  'the plug-in’s inflate': [
    'pvs lvcreate lvresize lvremove',
    1,
    'SR.get_by_uuid SR.set_physical_size SR.set_physical_utilisation VDI.get_by_uuid VDI.set_physical_utilisation host.get_by_uuid pool.get_all pool.get_master',
  ],
  'the plug-in’s is_open': [
    'pvs pvs',
    2,
    'SR.get_by_uuid*2 VDI.get_by_uuid*2 VDI.get_record VDI.get_sm_config VDI.remove_from_sm_config host.call_plugin host.get_by_uuid*2 pool.get_all*2 pool.get_master*2',
  ],
  'the plug-in’s refresh': ['pvs', 0, 'SR.get_by_uuid host.get_by_uuid'],
  'the plug-in’s is_settled': ['', 0, 'SR.get_by_uuid host.get_by_uuid pool.get_all pool.get_master'],
  'the plug-in’s is_collecting': ['', 0, 'SR.get_by_uuid host.get_by_uuid'],
  'the plug-in’s release': ['pvs', 0, 'SR.get_by_uuid host.get_by_uuid'],
  'sr_probe of an image with an SR': ['', 2, 'secret.get_by_uuid secret.get_value'],
  'sr_detach, which is refused': ['pvs', 0, ''],
};

let pool: LoopPool;
let vdi: Row;
let config = '';
beforeAll(async () => {
  pool = await loopPool({ plug: false, allocation: 'thin' });
});
afterAll(() => pool[Symbol.asyncDispose]());

/** In the order of the table, which is one life of an SR. */
const COMMANDS: Readonly<Record<string, () => Promise<unknown>>> = {
  'sr_attach of a new SR on the master': () => plug(0),
  'sr_attach on another host': () => plug(1),
  vdi_create: async () => {
    vdi = await vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 16 * MiB });
  },
  'vdi_create of a raw disk': () =>
    vdiCreate(pool.double, { sr: pool.srRef, virtualSize: 16 * MiB, smConfig: { type: 'raw' } }),
  sr_scan: () => onMaster('sr_scan'),
  'sr_attach of a mapped image on the master': () => plug(0),
  'sr_attach of a mapped image on another host': () => plug(1),
  sr_update: () => onMaster('sr_update'),
  vdi_update: () => vdiUpdate(pool.double, vdi.ref),
  vdi_attach: () => vdiAttach(pool.double, host(0), vdi.ref, { writable: true }),
  'vdi_activate for reading': () => refused('52', vdiActivate(pool.double, host(0), vdi.ref, { writable: false })),
  'vdi_activate for writing on another host': () =>
    refused('52', vdiActivate(pool.double, host(1), vdi.ref, { writable: true })),
  'vdi_deactivate of a disk that gives back room': () => vdiDeactivate(pool.double, host(0), vdi.ref),
  'vdi_deactivate on another host': () => vdiDeactivate(pool.double, host(1), vdi.ref),
  vdi_detach: () => vdiDetach(pool.double, host(0), vdi.ref),
  vdi_generate_config: async () => {
    config = await vdiGenerateConfig(pool.double, host(0), vdi.ref);
  },
  // A thin disk has no room to be written, and nobody to ask for it.
  vdi_attach_from_config: () => refused('180', attachFromConfig(pool.double, host(0), 'rbd', config)),
  vdi_detach_from_config: () => detachFromConfig(pool.double, host(0), 'rbd', config),
  vdi_resize: () => vdiResize(pool.double, vdi.ref, 128 * MiB),
  'vdi_activate for writing': () => refused('52', vdiActivate(pool.double, host(0), vdi.ref, { writable: true })),
  'the plug-in’s deflate': () => plugIn('deflate'),
  'the plug-in’s inflate': () => plugIn('inflate'),
  'the plug-in’s is_open': () => plugIn('is_open'),
  'the plug-in’s refresh': () => plugIn('refresh'),
  'the plug-in’s is_settled': () => plugIn('is_settled'),
  'the plug-in’s is_collecting': () => plugIn('is_collecting'),
  'the plug-in’s release': () => plugIn('release'),
  // Its mark alone: there is no data path to pause.
  'vdi_snapshot of a disk in use on another host': async () => {
    vdi.fields['sm_config'] = { vdi_type: 'vhd', [`host_${host(1)}`]: 'RW' };
    await vdiSnapshot(pool.double, vdi.ref);
  },
  vdi_delete: () => {
    vdi.fields['sm_config'] = { vdi_type: 'vhd' };
    return vdiDestroy(pool.double, vdi.ref);
  },
  // The test has the device open.
  'sr_detach, which is refused': () =>
    refused('85', pbdUnplug(pool.double, pbdOn(pool.double, pool.srRef, host(1)).ref)),
  'sr_probe of an image with an SR': () =>
    srProbe(pool.double, {
      type: 'rbd',
      deviceConfig: pbdOn(pool.double, pool.srRef, host(0)).fields['device_config'] as Record<string, string>,
    }),
};

test('nothing is asked twice', async () => {
  const found: Record<string, readonly [string, number, string]> = {};
  const waiting: Record<string, string> = {};
  for (const [title, command] of Object.entries(COMMANDS)) {
    const { lvm, programs, opens, xapi, inPause } = await pool.askedBy(command);
    if (inPause.length > 0) waiting[title] = inPause.join(' ');
    expect(
      programs.filter((name) => name !== 'plugin.sh'),
      title,
    ).toEqual([]);
    const calls = Object.entries(xapi).map(([name, count]) => (count === 1 ? name : `${name}*${count}`));
    found[title] = [lvm.join(' '), opens, calls.join(' ')];
  }
  expect(waiting).toEqual(IN_PAUSE);
  expect(found).toEqual(TABLE);
}, 300_000);

function host(index: number): string {
  return pool.double.hosts[index]?.ref ?? '';
}

/** Plugged already, as when the toolstack is restarted. */
function plug(index: number): Promise<void> {
  const pbd = pbdOn(pool.double, pool.srRef, host(index));
  pbd.fields['currently_attached'] = false;
  return pbdPlug(pool.double, pbd.ref);
}

async function onMaster(command: string): Promise<void> {
  const { double, srRef } = pool;
  const call = { ...srCall(double, srRef, host(0)), command, srMaster: true };
  (await runDriver(double, host(0), driverOf(double, 'rbd'), call)).unit();
}

/** For the other host, whose mark the disk bears. */
async function plugIn(fn: string): Promise<void> {
  const { double, srRef } = pool;
  vdi.fields['sm_config'] = { vdi_type: 'vhd', [`host_${host(1)}`]: 'RW' };
  const args = {
    sr_uuid: stringOf(double.db.get('SR', srRef), 'uuid'),
    vdi_uuid: stringOf(vdi, 'uuid'),
    vdi_uuids: stringOf(vdi, 'uuid'),
    host_ref: host(1),
  };
  expect(await callPlugin(double, host(0), 'rbdsr', fn, args), fn).toMatchObject({ value: expect.any(String) });
}

async function refused(number: string, work: Promise<unknown>): Promise<void> {
  await expect(work).rejects.toThrow(`SR_BACKEND_FAILURE_${number} `);
}
