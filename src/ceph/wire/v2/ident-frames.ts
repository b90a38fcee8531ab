import { ByteWriter } from '../byte-writer.ts';
import type { PeerAddress } from '../connection.ts';
import { ADDRESS_TYPE, decodeEntityAddress, encodeAddressList, encodeEntityAddress } from '../entity-address.ts';
import { controlOf } from './auth-frames.ts';
import type { Frame } from './framing.ts';
import { FRAME_TAG } from './tags.ts';
import { CLIENT } from '../cephx-login.ts';

/** What kind of entity this is, and where it sees the other. */
export function hello(peer: PeerAddress): Frame {
  const seen = encodeEntityAddress(ADDRESS_TYPE.v2, peer);
  return { tag: FRAME_TAG.hello, segments: [new ByteWriter().u8(CLIENT).raw(seen).done()] };
}

export interface Hello {
  /** A monitor is 1, an OSD 4 (ceph `src/include/msgr.h`, CEPH_ENTITY_TYPE). */
  readonly entityType: number;
  /** Where the daemon sees this side. */
  readonly seenAt: PeerAddress;
}

export function decodeHello(frame: Frame): Hello {
  const read = controlOf(frame, 'the introduction of a daemon');
  return { entityType: read.u8('type of entity'), seenAt: decodeEntityAddress(read) };
}

export interface Ident {
  /** This side, as the peer knows it. */
  readonly own: PeerAddress;
  readonly peer: PeerAddress;
  readonly globalId: bigint;
  readonly globalSeq: number;
  readonly features: bigint;
  readonly cookie: bigint;
}

/** A client that forgets a connection that is lost, and so expects its peer to. */
export function clientIdent({ own, peer, globalId, globalSeq, features, cookie }: Ident): Frame {
  const control = new ByteWriter()
    .raw(encodeAddressList(ADDRESS_TYPE.any, own))
    .raw(encodeEntityAddress(ADDRESS_TYPE.v2, peer))
    .u64(globalId)
    .u64(globalSeq)
    .u64(features)
    .u64(0)
    .u64(LOSSY)
    .u64(cookie)
    .done();
  return { tag: FRAME_TAG.clientIdent, segments: [control] };
}

/** Which features the daemon wants its peer to have. */
export function decodeServerIdent(frame: Frame): bigint {
  const read = controlOf(frame, 'the identity of a daemon');
  const form = read.u8('form of addresses');
  if (form !== LIST_FORM) throw read.garbled('form of addresses', String(LIST_FORM), String(form));
  read.list('addresses', LEAST_ADDRESS_BYTES, () => decodeEntityAddress(read));
  read.skip(8 + 8 + 8, 'number, sequence and features');
  return read.u64('required features');
}

/** Those that this side lacks. */
export function decodeMissingFeatures(frame: Frame): bigint {
  return controlOf(frame, 'the refusal of a daemon').u64('missing features');
}

/** CEPH_MSG_CONNECT_LOSSY. */
const LOSSY = 1;
const LIST_FORM = 2;
const LEAST_ADDRESS_BYTES = 1 + 6 + 12;
