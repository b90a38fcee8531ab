import { asRecords } from './_fields.ts';
import type { Xapi } from './client.ts';
import type { StringMap } from './values.ts';

/** How one host reaches one SR. */
export interface PbdRecord {
  readonly ref: string;
  readonly uuid: string;
  readonly host: string;
  readonly sr: string;
  /** May name secrets by uuid, or hold a password: never log it. */
  readonly deviceConfig: StringMap;
  readonly currentlyAttached: boolean;
  readonly otherConfig: StringMap;
}

export async function allPbds(xapi: Xapi): Promise<PbdRecord[]> {
  const method = 'PBD.get_all_records';
  return asRecords(method, await xapi.call(method), (ref, fields) => ({
    ref,
    uuid: fields.text('uuid'),
    host: fields.text('host'),
    sr: fields.text('SR'),
    deviceConfig: fields.map('device_config'),
    currentlyAttached: fields.flag('currently_attached'),
    otherConfig: fields.map('other_config'),
  }));
}

/**
 * The whole map, in one call: xapi has none for single keys of it, and nobody but administrators writes there. It may
 * be plugged; the driver sees it from its next call on. From 8.2 on xapi makes a secret of a key that ends in
 * "password"; secrets are not copied.
 */
export async function setPbdDeviceConfig(xapi: Xapi, ref: string, deviceConfig: StringMap): Promise<void> {
  await xapi.call('PBD.set_device_config', ref, { ...deviceConfig });
}

/** The PBD by which `hostRef` reaches `srRef`. */
export async function pbdOf(xapi: Xapi, srRef: string, hostRef: string): Promise<PbdRecord | undefined> {
  return (await allPbds(xapi)).find(({ sr, host }) => sr === srRef && host === hostRef);
}
