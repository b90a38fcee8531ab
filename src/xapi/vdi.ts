import { XmlRpcDateTime, type XmlRpcValue } from '../xmlrpc/value.ts';
import { asMap, asTexts, asRecords, asText, Fields } from './_fields.ts';
import type { Xapi } from './client.ts';
import { isGone } from './failure.ts';
import { NEVER, NULL_REF, type StringMap } from './values.ts';

export interface VdiRecord {
  readonly ref: string;
  readonly uuid: string;
  readonly location: string;
  readonly sr: string;
  readonly nameLabel: string;
  readonly nameDescription: string;
  readonly type: string;
  readonly readOnly: boolean;
  readonly sharable: boolean;
  readonly managed: boolean;
  readonly smConfig: StringMap;
  readonly otherConfig: StringMap;
  /** Bytes. */
  readonly virtualSize: number;
  /** Bytes. */
  readonly physicalUtilisation: number;
  readonly isASnapshot: boolean;
  /** For example 20261124T08:42:56Z. */
  readonly snapshotTime: string;
  /** A reference, NULL_REF for none. */
  readonly snapshotOf: string;
  readonly metadataOfPool: string;
  /** False before 7.3, which has no such field. */
  readonly cbtEnabled: boolean;
  /** `persist`, or `reset`: what was written goes when its VM starts. */
  readonly onBoot: string;
  /** Whether hosts may keep what they have read of its parent on a disk of their own. */
  readonly allowCaching: boolean;
}

export async function vdiByUuid(xapi: Xapi, uuid: string): Promise<string> {
  return asText('VDI.get_by_uuid', await xapi.call('VDI.get_by_uuid', uuid));
}

export async function vdiRecord(xapi: Xapi, ref: string): Promise<VdiRecord> {
  return readVdi(ref, new Fields('VDI.get_record', await xapi.call('VDI.get_record', ref)));
}

/** The records of every VDI of the SR, in one call. */
export async function vdisOfSr(xapi: Xapi, srRef: string): Promise<VdiRecord[]> {
  const method = 'VDI.get_all_records_where';
  return asRecords(method, await xapi.call(method, `field "SR" = "${srRef}"`), readVdi);
}

export async function vdiSmConfig(xapi: Xapi, ref: string): Promise<StringMap> {
  return asMap('VDI.get_sm_config', await xapi.call('VDI.get_sm_config', ref));
}

/** Whether a VM has it plugged in, also one that moves from host to host and has it active on neither right now. */
export async function isPluggedIn(xapi: Xapi, ref: string): Promise<boolean> {
  for (const vbd of asTexts('VDI.get_VBDs', await xapi.call('VDI.get_VBDs', ref)))
    if ((await xapi.call('VBD.get_currently_attached', vbd)) === true) return true;
  return false;
}

/** A new VDI record; what is left out has xapi's default. */
export interface VdiIntroduction {
  readonly uuid: string;
  readonly sr: string;
  /** The uuid, where left out. */
  readonly location?: string;
  readonly nameLabel?: string;
  readonly nameDescription?: string;
  readonly type?: string;
  readonly readOnly?: boolean;
  readonly smConfig?: StringMap;
  readonly managed?: boolean;
  /** Bytes. */
  readonly virtualSize: number;
  /** Bytes. */
  readonly physicalUtilisation: number;
  /** A reference, as `snapshotOf`. */
  readonly metadataOfPool?: string;
  readonly isASnapshot?: boolean;
  readonly snapshotTime?: string;
  readonly snapshotOf?: string;
  readonly cbtEnabled?: boolean;
}

/**
 * VDI.db_introduce: the record's reference. `arity` is the host profile's dbIntroduceArity: the 19th argument came with
 * 7.3.
 */
export async function introduceVdi(xapi: Xapi, arity: 18 | 19, vdi: VdiIntroduction): Promise<string> {
  const args: readonly XmlRpcValue[] = [
    vdi.uuid,
    vdi.nameLabel ?? '',
    vdi.nameDescription ?? '',
    vdi.sr,
    vdi.type ?? 'user',
    false,
    vdi.readOnly ?? false,
    {},
    vdi.location ?? vdi.uuid,
    {},
    vdi.smConfig ?? {},
    vdi.managed ?? true,
    String(vdi.virtualSize),
    String(vdi.physicalUtilisation),
    reference(vdi.metadataOfPool),
    vdi.isASnapshot ?? false,
    time(vdi.snapshotTime),
    reference(vdi.snapshotOf),
    vdi.cbtEnabled ?? false,
  ];
  return asText('VDI.db_introduce', await xapi.call('VDI.db_introduce', ...args.slice(0, arity)));
}

/** VDI.db_forget: removes the record, not the disk; nothing happens when it is gone. */
export async function forgetVdi(xapi: Xapi, ref: string): Promise<void> {
  try {
    await xapi.call('VDI.db_forget', ref);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Fields of a VDI's record that can be changed one by one. */
export interface VdiChanges {
  readonly virtualSize?: number;
  readonly physicalUtilisation?: number;
  readonly readOnly?: boolean;
  readonly managed?: boolean;
  readonly nameLabel?: string;
  readonly nameDescription?: string;
  readonly isASnapshot?: boolean;
  readonly snapshotTime?: string;
  readonly snapshotOf?: string;
  readonly metadataOfPool?: string;
  readonly cbtEnabled?: boolean;
}

/** Calls the setter of every field given, in the order above. */
export async function changeVdi(xapi: Xapi, ref: string, changes: VdiChanges): Promise<void> {
  const calls: readonly (readonly [string, XmlRpcValue | undefined])[] = [
    ['virtual_size', decimal(changes.virtualSize)],
    ['physical_utilisation', decimal(changes.physicalUtilisation)],
    ['read_only', changes.readOnly],
    ['managed', changes.managed],
    ['name_label', changes.nameLabel],
    ['name_description', changes.nameDescription],
    ['is_a_snapshot', changes.isASnapshot],
    ['snapshot_time', changes.snapshotTime === undefined ? undefined : time(changes.snapshotTime)],
    ['snapshot_of', changes.snapshotOf === undefined ? undefined : reference(changes.snapshotOf)],
    ['metadata_of_pool', changes.metadataOfPool === undefined ? undefined : reference(changes.metadataOfPool)],
    ['cbt_enabled', changes.cbtEnabled],
  ];
  for (const [field, value] of calls) {
    if (value !== undefined) await xapi.call(`VDI.set_${field}`, ref, value);
  }
}

function decimal(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : String(bytes);
}

function reference(ref: string | undefined): string {
  return ref === undefined || ref === '' ? NULL_REF : ref;
}

function time(text: string | undefined): XmlRpcDateTime {
  return new XmlRpcDateTime(text === undefined || text === '' ? NEVER : text);
}

function readVdi(ref: string, fields: Fields): VdiRecord {
  return {
    ref,
    uuid: fields.text('uuid'),
    location: fields.text('location'),
    sr: fields.text('SR'),
    nameLabel: fields.text('name_label'),
    nameDescription: fields.text('name_description'),
    type: fields.text('type'),
    readOnly: fields.flag('read_only'),
    sharable: fields.flag('sharable'),
    managed: fields.flag('managed'),
    smConfig: fields.map('sm_config'),
    otherConfig: fields.map('other_config'),
    virtualSize: fields.size('virtual_size'),
    physicalUtilisation: fields.size('physical_utilisation'),
    isASnapshot: fields.flag('is_a_snapshot'),
    snapshotTime: fields.time('snapshot_time'),
    snapshotOf: fields.text('snapshot_of'),
    metadataOfPool: fields.text('metadata_of_pool'),
    cbtEnabled: fields.flagIfPresent('cbt_enabled'),
    onBoot: fields.textIfPresent('on_boot'),
    allowCaching: fields.flagIfPresent('allow_caching'),
  };
}
