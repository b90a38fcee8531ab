import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { plugAll, srDestroy, srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiActivate, vdiCreate, vdiDestroy, vdiResize } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { HIDDEN_TAG } from '../../../src/lvhd/names.ts';
import { loopPool, type LoopPool } from '../../support/loop-pool.ts';

/**
 * An SR with a VHD, and with a disk and a base copy of a newer stock driver (sm 3.2.12-17 of XCP-ng 8.3): what is
 * theirs stays as it is.
 */
let pool: LoopPool;
let ours: Row;
let theirs: Row;
let base: Row;

beforeAll(async () => {
  pool = await loopPool({ allocation: 'thin' });
  const { double, srRef, sr } = pool;
  ours = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  theirs = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  base = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB, smConfig: { type: 'raw' } });
  await sr.lvm.renameLv(`VHD-${uuidOf(theirs)}`, `QCOW2-${uuidOf(theirs)}`);
  theirs.fields['name_label'] = 'renamed in xapi';
  theirs.fields['sm_config'] = { vdi_type: 'qcow2', [`host_${double.hosts[1]?.ref ?? ''}`]: 'RW' };
  await sr.lvm.addTag(`LV-${uuidOf(base)}`, HIDDEN_TAG);
  base.fields['managed'] = false;
  const mgt = new MetadataVolume(await sr.openLv('MGT', 'write'));
  await mgt.updateVdi(uuidOf(theirs), { vdiType: 'qcow2', nameLabel: 'theirs' });
  await mgt.updateVdi(uuidOf(base), { managed: false, readOnly: true });
});
afterAll(() => pool[Symbol.asyncDispose]());

const uuidOf = (vdi: Row): string => stringOf(vdi, 'uuid');
const records = (): Row[] => pool.double.db.where('VDI', 'SR', pool.srRef);

async function metadata(): Promise<Record<string, string>> {
  const { vdis } = await new MetadataVolume(await pool.sr.openLv('MGT', 'read')).read();
  return Object.fromEntries(vdis.map(({ uuid, vdiType, nameLabel }) => [uuid, `${vdiType} ${nameLabel}`.trim()]));
}

async function volumes(): Promise<string[]> {
  return (await pool.sr.report()).lvs.map(({ name }) => name);
}

async function attachAgain(): Promise<void> {
  for (const pbd of pool.double.db.where('PBD', 'SR', pool.srRef)) pbd.fields['currently_attached'] = false;
  expect(await plugAll(pool.double, pool.srRef)).toEqual([]);
}

const logged = (text: string): string[] =>
  readFileSync(`${pool.root(0)}/var/log/SMlog`, 'utf8')
    .split('\n')
    .filter((line) => line.includes(text));

test('attaching and scanning leave volume and records as they are, and a scan says so once', async () => {
  const before = { theirs: structuredClone(theirs.fields), base: structuredClone(base.fields) };
  await attachAgain();
  expect((await metadata())[uuidOf(theirs)]).toBe('qcow2 theirs');
  const lines = logged('are left as they are').length;
  await srScan(pool.double, pool.srRef);
  expect({ theirs: theirs.fields, base: base.fields }).toEqual(before);
  expect(records().map(uuidOf).toSorted()).toEqual([ours, theirs, base].map(uuidOf).toSorted());
  expect(Object.keys(await metadata())).toHaveLength(3);
  expect((await metadata())[uuidOf(theirs)]).toBe('qcow2 theirs');
  expect(await volumes()).toContain(`QCOW2-${uuidOf(theirs)}`);
  expect(logged('are left as they are').slice(lines)).toEqual([expect.stringContaining(`1 disk of a format`)]);
});

test('using, growing or deleting it is refused by name, and changes nothing', async () => {
  const { double, master } = { double: pool.double, master: pool.double.master.ref };
  theirs.fields['sm_config'] = { vdi_type: 'qcow2' };
  const refusal = new RegExp(`FAILURE_66 .*${uuidOf(theirs)}.*QCOW2-.*xe vdi-copy`);
  await expect(vdiActivate(double, master, theirs.ref, { writable: true })).rejects.toThrow(refusal);
  await expect(vdiResize(double, theirs.ref, 32 * MiB)).rejects.toThrow(refusal);
  await expect(vdiDestroy(double, theirs.ref)).rejects.toThrow(refusal);
  expect(mapOf(theirs, 'sm_config')).toEqual({ vdi_type: 'qcow2' });
  expect((await metadata())[uuidOf(theirs)]).toBe('qcow2 theirs');
  expect(await volumes()).toContain(`QCOW2-${uuidOf(theirs)}`);
});

test('a metadata volume that is made anew has its record', async () => {
  const mgt = await pool.sr.openLv('MGT', 'write');
  await mgt.write(0, Buffer.alloc(512));
  await attachAgain();
  expect((await metadata())[uuidOf(theirs)]).toBe('qcow2 renamed in xapi');
  expect(Object.keys(await metadata())).toHaveLength(3);
});

test('an SR that holds nothing else is not empty', async () => {
  const { double, srRef } = pool;
  await vdiDestroy(double, ours.ref);
  for (const vdi of records()) vdi.fields['managed'] = false;
  for (const pbd of double.db.where('PBD', 'SR', srRef)) pbd.fields['currently_attached'] = false;
  await expect(srDestroy(double, srRef)).rejects.toThrow(/FAILURE_39|SR_NOT_EMPTY|not empty/i);
  expect(logged('still holds 1 disks')).not.toEqual([]);
  expect(await volumes()).toContain(`QCOW2-${uuidOf(theirs)}`);
});
