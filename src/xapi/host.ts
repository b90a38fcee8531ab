import { asMap, asRecords, asText, type Fields } from './_fields.ts';
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

/** A host as one wants to know it before something is done to it. */
export interface HostStanding extends HostRecord {
  /** Whether xapi has heard of it lately. */
  readonly isLive: boolean;
  /** When it has heard of it last, in ms as Date counts; 0 where nobody knows. */
  readonly heardAt: number;
  /** Of all its networks, the management's first; as it has configured them itself. */
  readonly addresses: readonly string[];
}

/** Every host of the pool. */
export async function hostStandings(xapi: Xapi): Promise<HostStanding[]> {
  const heartbeats = await heartbeatsOf(xapi);
  const cards = await networkCards(xapi);
  return asRecords(ALL_HOSTS, await xapi.call(ALL_HOSTS), (ref, fields) => {
    const host = hostOf(ref, fields);
    const own = cards.filter((card) => card.host === ref).flatMap(({ addresses }) => addresses);
    const addresses = [...new Set([host.address, ...own])].filter((address) => address !== '');
    const { isLive = false, heardAt = 0 } = heartbeats.get(fields.text('metrics')) ?? {};
    return { ...host, isLive, heardAt, addresses };
  });
}

/** By the reference of a host's metrics. The master notes each heartbeat (xen-api `xapi_ha.ml`, `db_gc.ml`). */
async function heartbeatsOf(xapi: Xapi): Promise<ReadonlyMap<string, Pick<HostStanding, 'isLive' | 'heardAt'>>> {
  const method = 'host_metrics.get_all_records';
  const metrics = asRecords(method, await xapi.call(method), (ref, fields) => {
    return [ref, { isLive: fields.flag('live'), heardAt: timeOf(fields.time('last_updated')) }] as const;
  });
  return new Map(metrics);
}

/** "20261124T08:42:56Z". */
function timeOf(text: string): number {
  const time = Date.parse(text.replace(/^(\d{4})(\d{2})(\d{2})T/, '$1-$2-$3T'));
  return Number.isNaN(time) ? 0 : time;
}

async function networkCards(xapi: Xapi): Promise<readonly { host: string; addresses: readonly string[] }[]> {
  const method = 'PIF.get_all_records';
  return asRecords(method, await xapi.call(method), (_ref, fields) => ({
    host: fields.text('host'),
    // With the length of the network's prefix: "fd00::1/64".
    addresses: [fields.text('IP'), ...fields.texts('IPv6').map((address) => address.replace(/\/.*$/, ''))],
  }));
}

export async function hostByUuid(xapi: Xapi, uuid: string): Promise<string> {
  return asText('host.get_by_uuid', await xapi.call('host.get_by_uuid', uuid));
}

export async function hostOtherConfig(xapi: Xapi, ref: string): Promise<StringMap> {
  return asMap('host.get_other_config', await xapi.call('host.get_other_config', ref));
}

export async function allHosts(xapi: Xapi): Promise<HostRecord[]> {
  return asRecords(ALL_HOSTS, await xapi.call(ALL_HOSTS), hostOf);
}

const ALL_HOSTS = 'host.get_all_records';

function hostOf(ref: string, fields: Fields): HostRecord {
  return {
    ref,
    uuid: fields.text('uuid'),
    nameLabel: fields.text('name_label'),
    hostname: fields.text('hostname'),
    address: fields.text('address'),
    enabled: fields.flag('enabled'),
    otherConfig: fields.map('other_config'),
  };
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
