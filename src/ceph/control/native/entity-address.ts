import { isIPv4, isIPv6 } from 'node:net';
import { formatPeer } from '../../wire/peer-failure.ts';
import type { PeerAddress } from '../../wire/connection.ts';

/** "10.0.0.1:6801/4711", "[fd00::1]:6801/4711"; undefined for a daemon that has no address. */
export function parseEntityAddress(text: string): PeerAddress | undefined {
  const [, bracketed, plain = '', port, nonce] = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]+)\/([0-9]+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (!(isIPv6(host) || isIPv4(host)) || Number(port) === 0) return undefined;
  return { host, port: Number(port), nonce: Number(nonce) };
}

export function formatEntityAddress(address: PeerAddress): string {
  return `${formatPeer(address)}/${address.nonce}`;
}
