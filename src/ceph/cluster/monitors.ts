import { isIPv4, isIPv6 } from 'node:net';
import { RbdsrError } from '../../base/error.ts';

/** One entry of a monitor list, as the administrator wrote it. */
export interface MonitorAddress {
  readonly kind: 'ipv4' | 'ipv6' | 'name';
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where monitors listen for msgr v1, the protocol every kernel speaks. */
export const MONITOR_PORT = 6789;

/** The same for msgr v2. */
const MSGR2_PORT = 3300;

/**
 * `10.0.0.1, [fd00::1]:6790 mon.example`: IPv4, IPv6 (with brackets when a port follows) or host names, separated by
 * commas, semicolons or white space; the port is 6789 unless given. Also as ceph.conf and `ceph mon dump` write them:
 * with a protocol (`v1:10.0.0.1:6789`), with a nonce (`10.0.0.1:6789/0`), and all addresses of one monitor in brackets,
 * of which the one for msgr v1 counts where there is one (ceph `src/msg/msg_types.cc`, entity_addrvec_t::parse).
 * Doubles are dropped. 'config-invalid' names the entry that is wrong.
 */
export function parseMonitors(text: string): readonly MonitorAddress[] {
  const found = new Map<string, MonitorAddress>();
  for (const entry of entriesOf(text)) {
    const monitor = parseEntry(entry);
    found.set(formatMonitor(monitor), monitor);
  }
  if (found.size > 0) return [...found.values()];
  throw new RbdsrError('config-invalid', {
    what: 'the list of monitors is empty',
    expected: 'the addresses of the Ceph monitors, for instance 10.0.0.11,10.0.0.12',
  });
}

/** One address of each monitor, as the kernel is told: of msgr v1 where it speaks that. */
export function kernelAddresses(
  monitors: readonly { readonly v1?: MonitorAddress; readonly v2?: MonitorAddress }[],
): readonly MonitorAddress[] {
  return monitors.flatMap(({ v1, v2 }) => v1 ?? v2 ?? []);
}

/** `1.2.3.4:6789`, `[fd00::1]:6789`: as the kernel and ceph.conf want it. */
export function formatMonitor(monitor: MonitorAddress): string {
  const host = monitor.kind === 'ipv6' ? `[${monitor.host}]` : monitor.host;
  return `${host}:${monitor.port}`;
}

/** The list as the kernel wants it, and as a message shows it. */
export function formatMonitors(monitors: readonly MonitorAddress[]): string {
  return monitors.map(formatMonitor).join(',');
}

/** Separators within the brackets of one monitor's addresses separate nothing. */
function entriesOf(text: string): readonly string[] {
  const entries: string[] = [];
  let entry = '';
  let depth = 0;
  for (const character of text) {
    if (depth === 0 && /[\s,;]/.test(character)) {
      entries.push(entry);
      entry = '';
      continue;
    }
    if (character === '[' && (depth > 0 || entry === '')) depth += 1;
    if (character === ']' && depth > 0) depth -= 1;
    entry += character;
  }
  return [...entries, entry].filter((part) => part !== '');
}

function parseEntry(entry: string): MonitorAddress {
  const [, vector] = /^\[((?:v1|v2|any):.*)\]$/s.exec(entry) ?? [];
  if (vector === undefined) return parseWithProtocol(entry).address;
  const addresses = entriesOf(vector).map(parseWithProtocol);
  const chosen = addresses.find(({ protocol }) => protocol !== 'v2') ?? addresses[0];
  if (chosen === undefined) throw invalid(entry, 'an address between the brackets');
  return chosen.address;
}

interface ProtocolAddress {
  readonly protocol?: string;
  readonly address: MonitorAddress;
}

/** A host may be called v1: then nothing or a port follows. */
function parseWithProtocol(entry: string): ProtocolAddress {
  const [, protocol, rest] = /^(v1|v2|any):(?![0-9]*$)(.+)$/s.exec(entry) ?? [];
  const text = rest ?? entry;
  const address = parseMonitor(
    text.replace(/(?<=:[0-9]+)\/[0-9]+$/, ''),
    entry,
    protocol === 'v2' ? MSGR2_PORT : MONITOR_PORT,
  );
  return protocol === undefined ? { address } : { protocol, address };
}

function parseMonitor(text: string, entry: string, defaultPort: number): MonitorAddress {
  // Bare IPv6 first: its colons are not a port's.
  if (isIPv6(text)) return { kind: 'ipv6', host: canonicalIPv6(text, entry), port: defaultPort };
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:[\]]+))(?::([0-9]+))?$/.exec(text) ?? [];
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port < 1 || port > 65_535) throw invalid(entry, 'a port from 1 to 65535');
  if (bracketed !== undefined) {
    if (!isIPv6(bracketed)) throw invalid(entry, 'an IPv6 address between the brackets');
    return { kind: 'ipv6', host: canonicalIPv6(bracketed, entry), port };
  }
  if (plain === undefined) throw invalid(entry, 'address, address:port, [IPv6]:port or a host name');
  if (isIPv4(plain)) return { kind: 'ipv4', host: plain, port };
  if (!isHostName(plain)) throw invalid(entry, 'an IPv4 address, an IPv6 address or a host name');
  return { kind: 'name', host: plain.toLowerCase(), port };
}

/** One spelling per address, so that doubles are seen. The kernel knows no zones (`%eth0`). */
function canonicalIPv6(host: string, entry: string): string {
  if (host.includes('%')) throw invalid(entry, 'an IPv6 address without a zone (%...)');
  return new URL(`http://[${host}]/`).hostname.slice(1, -1);
}

/** RFC 1123; a name of digits and dots only is a mistyped IPv4 address. */
function isHostName(text: string): boolean {
  if (text.length > 253 || /^[0-9.]+$/.test(text)) return false;
  return text
    .replace(/\.$/, '')
    .split('.')
    .every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
}

function invalid(entry: string, expected: string): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: 'an entry of the list of monitors is not an address',
    expected,
    found: JSON.stringify(entry.slice(0, 120)),
  });
}
