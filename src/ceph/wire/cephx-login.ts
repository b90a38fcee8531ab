import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { RbdsrError } from '../../base/error.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { keyTypeOf } from '../cluster/cephx-key.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { Authorizer, SERVICE, type Ticket } from './cephx-authorizer.ts';
import { decrypt, encrypt } from './cephx-cipher.ts';
import { readCephxKey, readTickets } from './cephx-tickets.ts';
import { WITHOUT_SIGNATURES } from './client-features.ts';

/** Of the two methods of authentication: cephx (ceph `src/include/ceph_fs.h`, CEPH_AUTH_CEPHX). */
export const CEPHX = 2;

/** A client, among the kinds of entities (ceph `src/include/msgr.h`, CEPH_ENTITY_TYPE_CLIENT). */
export const CLIENT = 8;

/** What comes of a login besides the tickets. */
export interface LoggedIn {
  /** Of messenger v2 in secure mode, else empty. */
  readonly connectionSecret: Buffer;
}

/**
 * One login of a cephx user at a monitor, and the tickets that it brings, whichever messenger carries the payloads: the
 * user, the monitor's challenge, the proof that this side has the key, and the tickets, which only the owner of the key
 * can open, so that the monitor has proven itself too (ceph `src/auth/cephx/CephxClientHandler.cc`).
 */
export class UserLogin {
  /** Without `client.`. */
  readonly user: string;
  /** This client's number in the cluster; 0 until the monitor has given one. */
  globalId = 0n;
  readonly #secret: Buffer;
  #tickets: ReadonlyMap<number, Ticket> = new Map();

  /** 'cluster-incompatible' for a key of another type than aes. */
  constructor({ user, key }: Pick<ClusterAccess, 'user' | 'key'>) {
    const type = keyTypeOf(key);
    if (type !== 'aes') throw otherType(user, type);
    this.user = user;
    this.#secret = readCephxKey(new ByteReader(Buffer.from(key.reveal(), 'base64'), `the key of client.${user}`));
  }

  /** Type and name of who logs in, as both messengers name an entity. */
  entity(): Buffer {
    return new ByteWriter().u32(CLIENT).text(this.user).done();
  }

  /** What the monitor wants to see after its challenge. */
  prove(challenge: ByteReader): Buffer {
    challenge.skip(1, 'version of the challenge');
    const theirs = challenge.u64('challenge');
    const ours = randomBytes(8).readBigUInt64LE();
    const sealed = encrypt(this.#secret, new ByteWriter().u64(theirs).u64(ours).done());
    const proof = words(new ByteWriter().blob(sealed).done()).reduce((sum, word) => sum ^ word, 0n);
    const noOldTicket = new ByteWriter().u8(1).u64(0).u32(0).done();
    return new ByteWriter().u16(REQUEST.sessionKey).u8(3).u64(ours).u64(proof).raw(noOldTicket).u32(SERVICE.osd).done();
  }

  /** The monitor has taken the proof. 'cluster-auth' where it sends what the key does not open. */
  accept(globalId: bigint, reply: ByteReader): LoggedIn {
    this.globalId = globalId;
    const tickets = this.#read(reply);
    this.#keep(tickets);
    let connectionSecret = Buffer.alloc(0);
    if (reply.left > 0) {
      const sessionKey = this.#ticket(SERVICE.auth).sessionKey;
      const sealed = new ByteReader(reply.blob('connection secret'), 'the connection secret');
      if (sealed.left > 0) {
        const plain = decrypt(sessionKey, sealed.blob('connection secret'), 'the connection secret');
        if (plain === undefined) throw wrongMonitor();
        connectionSecret = Buffer.from(plain.blob('connection secret'));
      }
      const extra = new ByteReader(reply.blob('further tickets'), 'the further tickets');
      if (extra.left > 0) this.#keep(readTickets(extra, sessionKey, this.#tickets));
    }
    return { connectionSecret };
  }

  /**
   * Why the monitor lets nobody in. To a user without any capability for monitors it sends the tickets with the refusal
   * (ceph `src/mon/AuthMonitor.cc`, prep_auth): whose key opens them has the right one.
   */
  refusal(status: number, reply: ByteReader): RbdsrError {
    if (status === -constants.errno.EOPNOTSUPP) return methodRefused(this.user);
    try {
      if (reply.left > 0 && this.#read(reply) !== undefined) {
        return monitorCapabilityMissing(this.user);
      }
    } catch {
      // What goes with a refusal need not be an answer.
    }
    return cephxRefused(this.user, status);
  }

  /** Undefined where the monitors have not given one, or it is over. */
  ticketFor(service: number, now: number): Ticket | undefined {
    const ticket = this.#tickets.get(service);
    return ticket === undefined || ticket.expiresAtMs <= now ? undefined : ticket;
  }

  /** Asks for a new ticket for OSDs, by the ticket for the monitors' own service. */
  askTicket(): Buffer {
    const authorizer = new Authorizer(this.globalId, this.#ticket(SERVICE.auth));
    return new ByteWriter().u16(REQUEST.ticket).raw(authorizer.first()).u8(1).u32(SERVICE.osd).done();
  }

  /** Nothing where the monitors refuse: then the ticket for their own service is over, too. */
  takeTicket(reply: ByteReader): void {
    const [request, status] = [reply.u16('request'), reply.s32('status')];
    if (request !== REQUEST.ticket) throw reply.garbled('request', `${REQUEST.ticket}`, `${request}`);
    if (status === 0) this.#keep(readTickets(reply, this.#ticket(SERVICE.auth).sessionKey, this.#tickets));
  }

  #read(reply: ByteReader): readonly Ticket[] | undefined {
    const [request, status] = [reply.u16('request'), reply.s32('status')];
    if (request !== REQUEST.sessionKey) throw reply.garbled('request', `${REQUEST.sessionKey}`, `${request}`);
    if (status !== 0) throw cephxRefused(this.user, status);
    return readTickets(reply, this.#secret, this.#tickets);
  }

  #keep(tickets: readonly Ticket[] | undefined): void {
    if (tickets === undefined) throw wrongMonitor();
    this.#tickets = new Map([...this.#tickets, ...tickets.map((ticket) => [ticket.service, ticket] as const)]);
  }

  #ticket(service: number): Ticket {
    const ticket = this.#tickets.get(service);
    if (ticket !== undefined) return ticket;
    throw new RbdsrError('control-plane-failed', {
      what: 'the monitor gave no ticket',
      expected: `one for service ${service}`,
      facts: { errno: 'EBADMSG' },
    });
  }
}

const REQUEST = { sessionKey: 0x100, ticket: 0x200 } as const;

function words(bytes: Buffer): bigint[] {
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => bytes.readBigUInt64LE(index * 8));
}

function otherType(user: string, type: string): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the key of client.${user} is of type ${type}, with which RBDSR does not log in to a cluster itself`,
    expected: 'a key of type aes, 40 characters that begin with AQ',
    todo: `On a monitor, \`ceph auth rotate --key-type aes client.${user}\` gives this user another key, which all who use it need then; docs/ceph-keys.md has what the cluster must allow for it.`,
    facts: { user, keyType: type },
  });
}

/** `status` is an errno below 0. Monitors of 16 and later do not tell a user that is not there from a wrong key. */
export function cephxRefused(user: string, status: number): RbdsrError {
  const isUnknown = status === -constants.errno.ENOENT;
  return new RbdsrError('cluster-auth', {
    what: isUnknown
      ? `the cluster has no user client.${user}`
      : `the cluster does not let client.${user} log in: there is no such user, or its key is another`,
    expected: 'an existing user and its own key',
    found: `status ${status}`,
    todo: `\`ceph auth get client.${user}\` on a host with an admin key shows whether there is such a user, and its key.`,
    facts: { user, status },
  });
}

/**
 * The monitors have struck cephx from what they offer this client: it does not sign, and they want that (ceph
 * `src/mon/AuthMonitor.cc`, prep_auth; shown on 16.2.15, where tag 12 does not come). Or the cluster has no cephx.
 */
function methodRefused(user: string): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the monitors do not let client.${user} log in by cephx at all: the cluster wants every message of messenger v1 signed, which RBDSR does not do, or has no cephx`,
    expected: 'auth_client_required cephx, and no signatures of messages of v1',
    found: 'EOPNOTSUPP',
    todo: WITHOUT_SIGNATURES,
    facts: { user, isSignatureWanted: true },
  });
}

function monitorCapabilityMissing(user: string): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `client.${user} and its key are right, but it may ask the monitors nothing`,
    expected: "the capability mon 'profile rbd'",
    found: 'none for monitors',
    todo: `\`ceph auth caps client.${user} mon 'profile rbd' osd 'profile rbd pool=POOL'\` on a host with an admin key sets all its capabilities.`,
    facts: { user, missing: 'mon' },
  });
}

function wrongMonitor(): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: 'what answers as a monitor cannot prove that it has the key of this user',
    expected: 'tickets that the key opens',
    todo: 'The address belongs to another cluster, or to nobody of it: compare `ceph mon dump`.',
  });
}
