import { asMap, asRecords, asText } from './_fields.ts';
import type { Xapi } from './client.ts';
import type { StringMap } from './values.ts';

export interface HostRecord {
  readonly ref: string;
  readonly uuid: string;
  readonly nameLabel: string;
  readonly hostname: string;
  readonly address: string;
  readonly enabled: boolean;
  readonly otherConfig: StringMap;
}

export async function hostByUuid(xapi: Xapi, uuid: string): Promise<string> {
  return asText('host.get_by_uuid', await xapi.call('host.get_by_uuid', uuid));
}

export async function hostOtherConfig(xapi: Xapi, ref: string): Promise<StringMap> {
  return asMap('host.get_other_config', await xapi.call('host.get_other_config', ref));
}

export async function allHosts(xapi: Xapi): Promise<HostRecord[]> {
  const method = 'host.get_all_records';
  return asRecords(method, await xapi.call(method), (ref, fields) => ({
    ref,
    uuid: fields.text('uuid'),
    nameLabel: fields.text('name_label'),
    hostname: fields.text('hostname'),
    address: fields.text('address'),
    enabled: fields.flag('enabled'),
    otherConfig: fields.map('other_config'),
  }));
}

/**
 * Runs a function of a plug-in (`/etc/xapi.d/plugins`) on a host: its answer. Throws 'xapi-failure' with what the
 * plug-in reported.
 */
export async function callPlugin(
  xapi: Xapi,
  hostRef: string,
  plugin: string,
  fn: string,
  args: StringMap,
): Promise<string> {
  return asText(`host.call_plugin ${plugin}.${fn}`, await xapi.call('host.call_plugin', hostRef, plugin, fn, args));
}
