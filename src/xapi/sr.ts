import { asMap, asRecords, asSize, asText, asTexts, Fields } from './_fields.ts';
import type { Xapi } from './client.ts';
import type { StringMap } from './values.ts';

export interface SrRecord {
  readonly ref: string;
  readonly uuid: string;
  readonly nameLabel: string;
  readonly nameDescription: string;
  readonly type: string;
  readonly contentType: string;
  readonly shared: boolean;
  readonly smConfig: StringMap;
  readonly otherConfig: StringMap;
  /** Bytes, as are the next two; -1 where xapi does not know. */
  readonly virtualAllocation: number;
  readonly physicalUtilisation: number;
  readonly physicalSize: number;
}

export async function srByUuid(xapi: Xapi, uuid: string): Promise<string> {
  return asText('SR.get_by_uuid', await xapi.call('SR.get_by_uuid', uuid));
}

export async function srRecord(xapi: Xapi, ref: string): Promise<SrRecord> {
  return readSr(ref, new Fields('SR.get_record', await xapi.call('SR.get_record', ref)));
}

/** Every SR of the pool. */
export async function allSrs(xapi: Xapi): Promise<SrRecord[]> {
  return asRecords('SR.get_all_records', await xapi.call('SR.get_all_records'), readSr);
}

export async function srSmConfig(xapi: Xapi, ref: string): Promise<StringMap> {
  return asMap('SR.get_sm_config', await xapi.call('SR.get_sm_config', ref));
}

export async function srOtherConfig(xapi: Xapi, ref: string): Promise<StringMap> {
  return asMap('SR.get_other_config', await xapi.call('SR.get_other_config', ref));
}

export async function srNameLabel(xapi: Xapi, ref: string): Promise<string> {
  return asText('SR.get_name_label', await xapi.call('SR.get_name_label', ref));
}

export async function srNameDescription(xapi: Xapi, ref: string): Promise<string> {
  return asText('SR.get_name_description', await xapi.call('SR.get_name_description', ref));
}

export async function srVdis(xapi: Xapi, ref: string): Promise<readonly string[]> {
  return asTexts('SR.get_VDIs', await xapi.call('SR.get_VDIs', ref));
}

export async function srVirtualAllocation(xapi: Xapi, ref: string): Promise<number> {
  return asSize('SR.get_virtual_allocation', await xapi.call('SR.get_virtual_allocation', ref));
}

/** sr_scan and sr_update on the pool's master, which it waits for. */
export async function scanSrByXapi(xapi: Xapi, ref: string): Promise<void> {
  await xapi.call('SR.scan', ref);
}

/** Bytes; what is left out stays as it is. */
export interface SrTotals {
  readonly virtualAllocation?: number;
  readonly physicalSize?: number;
  readonly physicalUtilisation?: number;
}

export async function setSrTotals(xapi: Xapi, ref: string, totals: SrTotals): Promise<void> {
  const { virtualAllocation, physicalSize, physicalUtilisation } = totals;
  if (virtualAllocation !== undefined) await xapi.call('SR.set_virtual_allocation', ref, String(virtualAllocation));
  if (physicalSize !== undefined) await xapi.call('SR.set_physical_size', ref, String(physicalSize));
  if (physicalUtilisation !== undefined) {
    await xapi.call('SR.set_physical_utilisation', ref, String(physicalUtilisation));
  }
}

function readSr(ref: string, fields: Fields): SrRecord {
  return {
    ref,
    uuid: fields.text('uuid'),
    nameLabel: fields.text('name_label'),
    nameDescription: fields.text('name_description'),
    type: fields.text('type'),
    contentType: fields.text('content_type'),
    shared: fields.flag('shared'),
    smConfig: fields.map('sm_config'),
    otherConfig: fields.map('other_config'),
    virtualAllocation: fields.size('virtual_allocation'),
    physicalUtilisation: fields.size('physical_utilisation'),
    physicalSize: fields.size('physical_size'),
  };
}
