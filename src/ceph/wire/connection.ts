import type { Deadline } from '../../base/deadline.ts';
import type { RbdsrError } from '../../base/error.ts';
import type { Authorizer } from './cephx-authorizer.ts';
import type { UserLogin } from './cephx-login.ts';

/** A message of Ceph's as both messengers carry it; `front` and `data` are what its type says. */
export interface WireMessage {
  readonly type: number;
  readonly version: number;
  readonly compatVersion: number;
  /** Of an operation, which its reply names again; 0 for none. */
  readonly tid: number;
  readonly front: Buffer;
  readonly data: Buffer;
}

/** Where a daemon listens. */
export interface PeerAddress {
  /** An IPv4 or IPv6 address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** 0 of a monitor; an OSD has another each time it starts. */
  readonly nonce: number;
  /** Where it listens for messenger v2, where that is known and this is for v1. */
  readonly forV2?: PeerAddress;
}

/** What becomes of what a connection hears. Neither function throws. */
export interface Receiver {
  message(message: WireMessage): void;
  /** It is lost; once, and not after close(). What was sent may have arrived or not. */
  closed(error: RbdsrError): void;
}

/** Both ends have proven who they are. */
export interface Connection {
  /** Messages arrive in the order in which they are sent, or the connection is lost. */
  send(message: WireMessage): void;
  close(): void;
}

/**
 * One of Ceph's two ways to carry messages over TCP. Opening a connection fails with 'monitor-unreachable' where
 * nothing answers or the peer is no Ceph, 'osd-unresponsive' for an OSD, 'cluster-auth', 'cluster-incompatible' or
 * 'deadline'; a connection that failed to open says nothing to its receiver.
 */
export interface Messenger {
  /** When it is open, `login` holds the tickets. */
  toMonitor(peer: PeerAddress, login: UserLogin, receiver: Receiver, within: Patience): Promise<Connection>;
  toOsd(peer: PeerAddress, authorizer: Authorizer, receiver: Receiver, within: Patience): Promise<Connection>;
}

export interface Patience {
  readonly deadline: Deadline;
  /** Somebody else was faster: nothing is waited for any more, and nothing stays open. */
  readonly giveUp?: AbortSignal;
}
