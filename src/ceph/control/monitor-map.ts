import { RbdsrError } from '../../base/error.ts';
import { type ClusterKeyTypes, decodeKeyTypes } from './cluster-key-types.ts';
import { isObject, list, object, parse, string } from './tools/ceph-tool-json.ts';
import { parseMonitors } from '../cluster/monitors.ts';
import type { MonitorAddress } from '../cluster/monitors.ts';

/** What identifies a cluster and where its monitors are. */
export interface ClusterFacts {
  readonly fsid: string;
  readonly monitors: readonly MonitorEntry[];
  /** Undefined for a cluster that knows one type of keys only. */
  readonly keyTypes?: ClusterKeyTypes;
}

export interface MonitorEntry {
  readonly name: string;
  /** Where it speaks msgr v1, which every kernel does; absent when it does not. */
  readonly v1?: MonitorAddress;
  readonly v2?: MonitorAddress;
}

/**
 * `ceph mon dump --format json`: `public_addrs` since Nautilus (14), one `addr` of msgr v1 before it. A monitor without
 * any address is left out.
 */
export function decodeMonitorMap(text: string): ClusterFacts {
  const map = object(parse(text, COMMAND), COMMAND);
  const monitors = list(map['mons'], COMMAND)
    .map(monitorOf)
    .filter(({ v1, v2 }) => v1 !== undefined || v2 !== undefined);
  const keyTypes = decodeKeyTypes(map);
  if (monitors.length > 0) {
    return { fsid: string(map, 'fsid', COMMAND), monitors, ...(keyTypes === undefined ? {} : { keyTypes }) };
  }
  throw new RbdsrError('control-plane-failed', {
    what: 'the monitor map names no monitor with an address',
    todo: '`ceph mon dump` on the monitor shows it.',
  });
}

const COMMAND = 'ceph mon dump';

function monitorOf(monitor: Readonly<Record<string, unknown>>): MonitorEntry {
  const vector = isObject(monitor['public_addrs']) ? monitor['public_addrs']['addrvec'] : undefined;
  const addresses = Array.isArray(vector)
    ? list(vector, COMMAND).map((entry) => ({ type: entry['type'], text: string(entry, 'addr', COMMAND) }))
    : [{ type: 'v1', text: string(monitor, 'addr', COMMAND) }];
  const v1 = addresses.find(({ type, text }) => type !== 'v2' && KNOWN.has(type) && !isBlank(text));
  const v2 = addresses.find(({ type, text }) => type === 'v2' && !isBlank(text));
  return {
    name: string(monitor, 'name', COMMAND),
    ...(v1 === undefined ? {} : { v1: addressOf(v1.text) }),
    ...(v2 === undefined ? {} : { v2: addressOf(v2.text) }),
  };
}

const KNOWN: ReadonlySet<unknown> = new Set(['v1', 'v2', 'any', 'legacy']);

/**
 * A monitor that has never been up has none yet: `0.0.0.0:0/1` while a cluster is made, `:/0` or `-` (ceph
 * `src/mon/MonMap.cc`, `src/msg/msg_types.cc`).
 */
function isBlank(text: string): boolean {
  return /^(?:-|:|(?:0\.0\.0\.0|\[::\]|::):?[0-9]*|.*:0)(?:\/[0-9]+)?$/.test(text);
}

function addressOf(text: string): MonitorAddress {
  const [address] = parseMonitors(text);
  if (address !== undefined) return address;
  throw new RbdsrError('control-plane-failed', {
    what: `the answer of \`${COMMAND}\` is not understood`,
    expected: 'ADDRESS:PORT',
    found: JSON.stringify(text.slice(0, 80)),
  });
}
