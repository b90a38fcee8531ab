import { nowMs } from '../../base/now.ts';
import { ByteReader } from './byte-reader.ts';
import type { Ticket } from './cephx-authorizer.ts';
import { decrypt } from './cephx-cipher.ts';

/**
 * The tickets of a reply: each session key encrypted with `secret`, each ticket perhaps with the session key of the
 * ticket that it follows (ceph `src/auth/cephx/CephxProtocol.cc`, CephXTicketHandler). Undefined where `secret` does
 * not open one.
 */
export function readTickets(
  reply: ByteReader,
  secret: Buffer,
  former: ReadonlyMap<number, Ticket>,
): readonly Ticket[] | undefined {
  reply.skip(1, 'version of the tickets');
  const tickets = reply.list('tickets', 4 + 1 + 4 + 1 + 4, () => readTicket(reply, secret, former));
  return tickets.every((ticket) => ticket !== undefined) ? tickets : undefined;
}

function readTicket(reply: ByteReader, secret: Buffer, former: ReadonlyMap<number, Ticket>): Ticket | undefined {
  const service = reply.u32('service');
  reply.skip(1, 'version of the service ticket');
  const sealedKey = reply.blob('session key');
  const isWrapped = reply.u8('encrypted') !== 0;
  const wrapped = reply.blob('ticket');
  const key = decrypt(secret, sealedKey, 'a session key');
  if (key === undefined) return undefined;
  key.skip(1, 'version of the session key');
  const sessionKey = readCephxKey(key);
  const lifeMs = key.u32('validity, seconds') * 1000 + key.u32('validity, nanoseconds') / 1e6;
  const blob = isWrapped ? unwrap(wrapped, former.get(service)) : new ByteReader(wrapped, 'a ticket');
  if (blob === undefined) return undefined;
  blob.skip(1, 'version of the ticket');
  const now = nowMs();
  return {
    service,
    sessionKey,
    secretId: blob.u64('secret id'),
    sealed: blob.blob('ticket'),
    expiresAtMs: now + lifeMs,
    renewAtMs: now + lifeMs / 2,
  };
}

function unwrap(wrapped: Buffer, former: Ticket | undefined): ByteReader | undefined {
  const plain = former === undefined ? undefined : decrypt(former.sessionKey, wrapped, 'a ticket');
  return plain === undefined ? undefined : new ByteReader(plain.blob('ticket'), 'a ticket');
}

/** A key as Ceph writes it: type u16, time of its making, length u16, secret (ceph `src/auth/Crypto.cc`). */
export function readCephxKey(key: ByteReader): Buffer {
  const type = key.u16('type of the key');
  if (type !== AES) throw key.garbled('type of the key', `${AES} (aes)`, String(type));
  key.skip(8, 'time of the key');
  const length = key.u16('length of the key');
  if (length !== 16) throw key.garbled('length of the key', '16', String(length));
  return key.bytes(length, 'secret');
}

const AES = 1;
