import { RbdsrError } from '../../base/error.ts';
import type { PeerAddress } from './connection.ts';

/** What is known of a peer with which no conversation came about; as MonitorAnswer (cluster/monitor-survey.ts). */
export type PeerState = 'msgr1' | 'msgr2' | 'silent' | 'foreign' | 'unreachable' | 'lost';

/** 'monitor-unreachable', whichever daemon it is: who opened the connection knows what for, and says so. */
export function peerLost(peer: Pick<PeerAddress, 'host' | 'port'>, state: PeerState, reason: string): RbdsrError {
  return new RbdsrError('monitor-unreachable', {
    what: `${formatPeer(peer)} ${SAID[state]}`,
    found: reason,
    todo: 'Check the address and the port, that the daemon runs, and that a firewall lets this host reach it.',
    facts: { state, reason },
  });
}

export function formatPeer({ host, port }: Pick<PeerAddress, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Undefined for another failure than of reaching the peer. */
export function peerStateOf(error: unknown): { readonly state: PeerState; readonly reason: string } | undefined {
  if (!(error instanceof RbdsrError) || error.code !== 'monitor-unreachable') return undefined;
  const { state, reason } = error.detail.facts ?? {};
  return typeof state === 'string' && Object.hasOwn(SAID, state)
    ? { state: state as PeerState, reason: String(reason) }
    : undefined;
}

const SAID: Readonly<Record<PeerState, string>> = {
  msgr1: 'greets as a Ceph daemon and then does not go on',
  msgr2: 'greets as a Ceph daemon and then does not go on',
  silent: 'accepts connections but says nothing',
  foreign: 'is not Ceph',
  unreachable: 'does not answer',
  lost: 'has ended the connection',
};
