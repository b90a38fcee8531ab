import { randomBytes } from 'node:crypto';
import { RbdsrError } from '../../base/error.ts';
import type { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { decrypt, encrypt } from './cephx-cipher.ts';

/** Which kind of daemon a ticket is for (ceph `src/include/msgr.h`, CEPH_ENTITY_TYPE). */
export const SERVICE = { osd: 0x04, auth: 0x20 } as const;

/** What the monitors have given to show to one kind of daemon. */
export interface Ticket {
  readonly service: number;
  readonly sessionKey: Buffer;
  readonly secretId: bigint;
  /** Only the daemon can read it. */
  readonly sealed: Buffer;
  /** On nowMs()'s clock, by the monitors' count of seconds: clocks that differ do no harm. */
  readonly expiresAtMs: number;
  readonly renewAtMs: number;
}

/** What the daemon has answered. */
export interface AuthorizerReply {
  /** Of messenger v2 in secure mode, else empty. */
  readonly connectionSecret: Buffer;
}

/**
 * Shows a ticket to a daemon on a new connection, answers its challenge, and lets it prove that it could read the
 * ticket (ceph `src/auth/cephx/CephxProtocol.cc`, CephXAuthorize). One for each connection.
 */
export class Authorizer {
  readonly globalId: bigint;
  readonly ticket: Ticket;
  readonly #nonce = randomBytes(8).readBigUInt64LE();

  constructor(globalId: bigint, ticket: Ticket) {
    this.globalId = globalId;
    this.ticket = ticket;
  }

  first(): Buffer {
    return this.#encode(undefined);
  }

  /** To what the daemon sent, encrypted and without a length before it. 'cluster-auth'. */
  answer(challenge: Buffer): Buffer {
    const plain = this.#open(challenge, 'the challenge of the daemon');
    plain.skip(1, 'version');
    return this.#encode(plain.u64('challenge'));
  }

  /** `reply` has its length before it. 'cluster-auth' where the peer cannot read the ticket. */
  verify(reply: ByteReader): AuthorizerReply {
    const plain = this.#open(reply.blob('the reply'), 'the proof of the daemon');
    const version = plain.u8('version');
    const nonce = plain.u64('nonce');
    if (nonce !== BigInt.asUintN(64, this.#nonce + 1n))
      throw unproven('another number than the one that was asked for');
    return { connectionSecret: version >= 2 && plain.left > 0 ? plain.blob('connection secret') : Buffer.alloc(0) };
  }

  #encode(challenge: bigint | undefined): Buffer {
    const { service, sessionKey, secretId, sealed } = this.ticket;
    const proof = new ByteWriter()
      .u8(2)
      .u64(this.#nonce)
      .u8(challenge === undefined ? 0 : 1)
      .u64(challenge === undefined ? 0n : challenge + 1n)
      .done();
    return new ByteWriter()
      .u8(1)
      .u64(this.globalId)
      .u32(service)
      .u8(1)
      .u64(secretId)
      .blob(sealed)
      .blob(encrypt(sessionKey, proof))
      .done();
  }

  #open(bytes: Buffer, what: string): ByteReader {
    const plain = decrypt(this.ticket.sessionKey, bytes, what);
    if (plain === undefined) throw unproven('what the session key does not open');
    return plain;
  }
}

function unproven(found: string): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: 'a peer that should be a daemon of the cluster cannot prove it',
    expected: 'proof that it could read the ticket it was shown',
    found,
    todo: 'The address belongs to another cluster, or to nobody of it: compare `ceph osd dump` and `ceph mon dump`.',
  });
}
