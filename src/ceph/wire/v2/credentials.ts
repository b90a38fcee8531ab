import { nowMs } from '../../../base/now.ts';
import { RbdsrError } from '../../../base/error.ts';
import { userNotLetIn } from '../../cluster/not-let-in.ts';
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import { type Authorizer, SERVICE } from '../cephx-authorizer.ts';
import { cephxRefused, type UserLogin } from '../cephx-login.ts';
import type { PeerAddress } from '../connection.ts';
import { formatPeer } from '../peer-failure.ts';

/** What a handshake shows to a daemon, and what it gets for it: in v2 the same frames carry both kinds of login. */
export interface Credentials {
  /** CEPH_ENTITY_TYPE of who has to be at the other end. */
  readonly entityType: number;
  first(): Buffer;
  answer(challenge: Buffer): Buffer;
  accept(globalId: bigint, payload: Buffer): Accepted;
  /** For an errno below 0. */
  refused(result: number, peer: PeerAddress): RbdsrError;
}

export interface Accepted {
  readonly globalId: bigint;
  readonly sessionKey: Buffer;
  /** Empty where the connection goes on in mode crc. */
  readonly connectionSecret: Buffer;
}

/** A user logs in, and gets tickets. */
export function userCredentials(login: UserLogin): Credentials {
  return {
    entityType: MONITOR,
    first: () => new ByteWriter().u8(LOGIN).raw(login.entity()).u64(login.globalId).done(),
    answer: (challenge) => login.prove(new ByteReader(challenge, 'the challenge of a monitor')),
    accept: (globalId, payload) => {
      const { connectionSecret } = login.accept(globalId, new ByteReader(payload, 'the answer to a login'));
      const sessionKey = login.ticketFor(SERVICE.auth, nowMs())?.sessionKey;
      if (sessionKey === undefined) throw cephxRefused(login.user, 0);
      return { globalId, sessionKey, connectionSecret };
    },
    // What the monitors tell apart in messenger v1, where tickets come with the refusal, they do not here.
    refused: (result) => userNotLetIn(login.user, `status ${result}`),
  };
}

/** A ticket is shown. */
export function ticketCredentials(authorizer: Authorizer): Credentials {
  const { globalId, ticket } = authorizer;
  return {
    entityType: SERVICE.osd,
    first: () => authorizer.first(),
    answer: (challenge) => authorizer.answer(challenge),
    accept: (_globalId, payload) => {
      const { connectionSecret } = authorizer.verify(new ByteReader(payload, 'the proof of a daemon'));
      return { globalId, sessionKey: ticket.sessionKey, connectionSecret };
    },
    refused: (result, peer) => ticketRefused(result, peer),
  };
}

function ticketRefused(result: number, peer: PeerAddress): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `the daemon at ${formatPeer(peer)} does not take the ticket that the monitors gave for it`,
    found: `status ${result}`,
    todo: 'Its clock may be wrong, or its own key: `ceph -s` on a monitor names clocks that differ.',
    facts: { isTicketRefused: true, service: SERVICE.osd, status: result },
  });
}

const MONITOR = 1;
/** Before a user's name; an authorizer begins with its version instead, 1 (ceph `src/auth/Auth.h`, AUTH_MODE_MON). */
const LOGIN = 10;
