import { isIP } from 'node:net';
import { RbdsrError } from '../base/error.ts';
import type { FenceNote } from './fence-notes.ts';
import type { PoolHost } from './pool-standing.ts';

/** Whom the operator means: a host of the pool, or an address that none of them has. */
export interface ChosenHost {
  /** Its name, or the address. */
  readonly title: string;
  readonly addresses: readonly string[];
  readonly inPool?: PoolHost;
  readonly isThis: boolean;
}

/**
 * A host by its uuid, its name or one of its addresses; else an address of a host that the pool has no more. `here`:
 * the addresses by which this host itself is known to clusters. 'invalid-argument' where it is none, or more than one.
 * Pure.
 */
export function chosenHost(hosts: readonly PoolHost[], text: string, here: readonly string[]): ChosenHost {
  const byUuid = hosts.filter(({ uuid }) => uuid === text);
  const byName = byUuid.length > 0 ? byUuid : hosts.filter(({ name }) => name === text);
  const found = byName.length > 0 ? byName : hosts.filter(({ addresses }) => addresses.includes(text));
  const [host, ...more] = found;
  if (host !== undefined && more.length > 0) throw ambiguous(text, found);
  if (host !== undefined) {
    const addresses = host.isThis ? [...new Set([...host.addresses, ...here])] : host.addresses;
    return { title: host.name, addresses, inPool: host, isThis: host.isThis };
  }
  if (isIP(text) === 0) throw unknown(text, hosts);
  return { title: text, addresses: [text], isThis: here.includes(text) };
}

function ambiguous(text: string, found: readonly PoolHost[]): RbdsrError {
  return new RbdsrError('invalid-argument', {
    what: `the pool has ${found.length} hosts called ${JSON.stringify(text)}`,
    expected: `the uuid of one: ${found.map(({ uuid }) => uuid).join(', ')}`,
  });
}

function unknown(text: string, hosts: readonly PoolHost[]): RbdsrError {
  return new RbdsrError('invalid-argument', {
    what: `the pool has no host ${JSON.stringify(text)}`,
    expected: `the name or uuid of one (${hosts.map(({ name }) => name).join(', ')}), or an address`,
    todo: 'A host that the pool has no more is named by its address in the network of the cluster.',
  });
}

/** The address without port and nonce: of `10.0.0.5:0/123`, `[fd00::1]:0/123`. */
export function ipOfClient(client: string): string {
  const [, bracketed, plain = ''] = /^(?:\[([^\]]+)\]|([^:]+)):/.exec(client) ?? [];
  return bracketed ?? plain;
}

/** What fences every client of an address: port and nonce 0. */
export function allOfAddress(address: string): string {
  return isIP(address) === 6 ? `[${address}]:0/0` : `${address}:0/0`;
}

/**
 * Whether what was written down of this client is about the host: by its uuid; of one that the pool does not have, by
 * its address. Pure.
 */
export function isNoteOf(note: FenceNote | undefined, client: string, { addresses, inPool }: ChosenHost): boolean {
  if (note?.hostUuid === undefined || inPool === undefined) return addresses.includes(ipOfClient(client));
  return note.hostUuid === inPool.uuid;
}
